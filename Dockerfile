# The image of exectape: the binary, both backends of iptables, and no shell.
#
#	docker build -t exectape:dev .
#	docker build -t exectape:v1 --build-arg VERSION=v1 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# No machine that has tested it had a container engine: its file system is made
# by deploy/rootfs.sh without one, and runs in a root directory of its own
# (e2e/rootfs_test.go) and as a pod (e2e/cluster).

FROM golang:1.26-bookworm AS build
# Debian's iptables has both backends, and exectape uses the kubelet's.
RUN apt-get update && apt-get install -y --no-install-recommends iptables && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which "exectape version" learns what it is.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /exectape ./cmd/exectape
RUN deploy/rootfs.sh /exectape /root-of-image

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
COPY --from=build /root-of-image /
LABEL org.opencontainers.image.title="exectape" \
      org.opencontainers.image.description="Records the exec and attach sessions of a Kubernetes node as asciicasts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# Root of the node's: it sets rules and listens below 1024.
USER 0:0
ENTRYPOINT ["/usr/bin/exectape"]
CMD ["run"]
