# Not yet run: no machine that has built or started it so far had a registry.
# Its last stage is tested without one: see deploy/rootfs.sh.
#
#	docker build -t exectape:dev .

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which "exectape version" learns what it is.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /exectape ./cmd/exectape
# Debian's iptables has both backends, and exectape uses the kubelet's.
RUN apt-get update && apt-get install -y --no-install-recommends iptables
RUN deploy/rootfs.sh /exectape /root-of-image

FROM scratch
COPY --from=build /root-of-image /
LABEL org.opencontainers.image.title="exectape" \
      org.opencontainers.image.description="Records the exec and attach sessions of a Kubernetes node as asciicasts" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/bin/exectape"]
CMD ["run"]
