# forge in a container: it drives the engine of its machine through the socket and shares the machine's network, without
# which it could not reach the networks of apps. See docs/container.md.
#   docker build -t forge .
#   docker run -d --name forge --init --network host --restart unless-stopped \
#     -v /var/run/docker.sock:/var/run/docker.sock -v forge-data:/data forge

# Debian or Ubuntu with Node 24 and npm.
ARG BASE=node:24-slim

FROM ${BASE} AS build
WORKDIR /opt/forge
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run --silent build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${BASE}
# More packages for the image: golang-go where `forge builder:create` shall compile the buildpacks lifecycle.
ARG EXTRA_PACKAGES=""
RUN apt-get update -qq \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates git iptables mmdebstrap openssh-client perl-base ${EXTRA_PACKAGES} \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/forge
COPY package.json ./
COPY bin/forge ./bin/forge
COPY hooks ./hooks
# The compiler leaves these where they are.
COPY src/store/migrations ./src/store/migrations
COPY builder ./builder
COPY buildpacks ./buildpacks
COPY --from=build /opt/forge/node_modules ./node_modules
COPY --from=build /opt/forge/dist ./dist
RUN ln -s /opt/forge/bin/forge /usr/local/bin/forge
ENV FORGE_DATA=/data
VOLUME /data
ENTRYPOINT ["forge"]
CMD ["up"]
