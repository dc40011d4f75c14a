// Package admin answers those who run a node how its exectape is doing: whether
// it lives, whether it is ready and if not why, what it has counted, and which
// sessions are going on.
//
//	GET /healthz   200 as long as the process answers
//	GET /readyz    200 if every [Check] passes; else 503. One line for each, by name
//	GET /metrics   what was counted, for Prometheus
//	GET /sessions  the live sessions, one JSON object a line
//
// There are two places to ask, each of which is the instance's own. The Unix
// socket serves /healthz, /readyz and /sessions, to root and to the user that
// exectape runs as ([ListenUnix]); [Get] asks there, and believes no one else.
// The TCP listener serves the same but for /sessions, and /metrics besides, to
// whoever gets there. Two instances on one host share its ports: the younger
// takes the port when the elder gives it up ([Server.ServeTCP]).
//
// The package knows nothing of what it tells: its caller hands it checks and
// functions that return numbers. It is the only one that knows Prometheus. No
// label has a value that a client, a pod or a user decides.
package admin
