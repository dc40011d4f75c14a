// Runs a command in a pod with Kubernetes' JavaScript client, over
// v4.channel.k8s.io: what dashboards speak, and what the API server and the kubelet
// hand on to containerd as it is. The client alone would offer v5, too, which is
// translated on the way.
//
//	node exec.mjs NAMESPACE POD CONTAINER COMMAND...
import { PassThrough } from "node:stream";
import { Exec, KubeConfig } from "@kubernetes/client-node";
import { WebSocketHandler } from "@kubernetes/client-node/dist/web-socket-handler.js";
import WebSocket from "ws";

const [namespace, pod, container, ...command] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromDefault();
const v4 = new WebSocketHandler(config, (uri, _, options) => new WebSocket(uri, ["v4.channel.k8s.io"], options));

// v4 can't say that stdin has ended; the client would close the connection.
const stdin = new PassThrough();
process.stdin.pipe(stdin, { end: false });

function ended(status) {
	const cause = (status.details?.causes ?? []).find((c) => c.reason === "ExitCode");
	process.exitCode = status.status === "Success" ? 0 : Number(cause?.message ?? 1);
}

await new Exec(config, v4).exec(namespace, pod, container, command, process.stdout, process.stderr, stdin, false, ended);
