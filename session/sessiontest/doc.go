// Package sessiontest is what the tests of decoders share: sessions that were
// captured on the wire, ways to cut them up, and what they come to.
package sessiontest
