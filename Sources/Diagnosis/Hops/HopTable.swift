// The hops and the limits that they put on a silence or on a life: `idle-timeouts.tsv` as values, with who each of them is and where it
// can stand. A test compares every row with the file. To add a row: write it into the file and here, with its family.

extension Hop {
    /// All rows, in the file's order.
    package static let table: [Hop] = [
        Hop(
            .nginx, "nginx proxy_read_timeout", .idle, 60, at: [.before, .behind],
            resetBy: "each read from the upstream; FIN without the last chunk (tested 1.22)",
            source: "nginx documentation; tested"),
        Hop(
            .nginx, "nginx send_timeout", .idle, 60, at: [.before, .behind],
            resetBy: "each write to the client",
            source: "nginx documentation"),
        Hop(
            .ingressNginx, "ingress-nginx", .idle, 60, at: [.before, .behind],
            resetBy: "each read from the upstream; a reload ends the old worker's streams after worker-shutdown-timeout (240 s)",
            source: "ingress-nginx #2917, #1373, #2647; gameserver-ingress-controller #21"),
        Hop(
            .traefik, "Traefik's ingress-nginx provider", .idle, 60, at: [.before, .behind],
            resetBy: "each read from the upstream",
            source: "Traefik documentation (proxyReadTimeout)"),
        Hop(
            .traefik, "Traefik", .none, 0, at: [.before, .behind],
            resetBy:
                "no limit on a response: writeTimeout is off; readTimeout (60) bounds the request; idleTimeout (180) is between"
                + " requests",
            source: "Traefik documentation; Go 1.19 tested: ReadTimeout does not end a response"),
        Hop(
            .caddy, "Caddy", .none, 0, at: [.before, .behind],
            resetBy: "no limit (stream_timeout off); a reload ends streams",
            source: "Caddy source"),
        Hop(
            .apache, "Apache httpd Timeout", .idle, 60, at: [.before, .behind],
            resetBy: "any I/O; ProxyTimeout inherits it",
            source: "httpd documentation (core)"),
        Hop(
            .varnish, "Varnish between_bytes_timeout", .idle, 60, at: [.before, .behind],
            resetBy: "backend bytes",
            source: "Varnish source (params)"),
        Hop(
            .h2o, "h2o proxy.timeout.io", .idle, 30, at: [.before, .behind],
            resetBy: "bytes",
            source: "h2o documentation (proxy directives)"),
        Hop(
            .haproxy, "HAProxy as Debian packages it, timeout server", .idle, 50, at: [.before, .behind],
            resetBy:
                "server bytes; ends its own client by FIN, its server by RST; timeout client does not end a response under way "
                + "(tested 2.6)",
            source: "Debian's haproxy.cfg; tested"),
        Hop(
            .haproxy, "HAProxy on pfSense, timeout server", .idle, 30, at: [.before, .behind],
            resetBy: "server bytes",
            source: "mercure #96"),
        Hop(
            .kong, "Kong read_timeout", .idle, 60, at: [.before, .behind],
            resetBy: "each read from the upstream",
            source: "Kong source (services schema)"),
        Hop(
            .envoy, "Envoy route timeout", .absolute, 15, at: [.before, .behind],
            resetBy: "never: a total; tells the server by X-Envoy-Expected-Rq-Timeout-Ms",
            source: "Envoy FAQ"),
        Hop(
            .envoy, "Envoy stream_idle_timeout", .idle, 300, at: [.before, .behind],
            resetBy: "stream activity",
            source: "Envoy FAQ"),
        Hop(
            .envoyGateway, "Envoy Gateway", .absolute, 15, at: [.before, .behind],
            resetBy: "never: Envoy's route timeout, until requestTimeout is set",
            source: "Envoy Gateway documentation (http-timeouts)"),
        Hop(
            .appMesh, "AWS App Mesh per request", .absolute, 15, at: [.before, .behind],
            resetBy: "never",
            source: "AWS documentation"),
        Hop(
            .istio, "Istio", .none, 0, at: [.before, .behind],
            resetBy: "route timeout is off unless a VirtualService sets one",
            source: "not verified"),
        Hop(
            .yarp, "YARP ActivityTimeout", .idle, 100, at: [.before, .behind],
            resetBy: "response bytes; neither TCP keepalive nor HTTP/2 PING",
            source: "Microsoft documentation"),
        Hop(
            .classicLoadBalancer, "AWS Classic Load Balancer", .idle, 60, at: [.before, .behind],
            resetBy: "bytes; TCP keepalive does not count",
            source: "AWS documentation; horizon #424"),
        Hop(
            .applicationLoadBalancer, "AWS Application Load Balancer", .idle, 60, at: [.before, .behind],
            resetBy: "bytes",
            source: "AWS documentation"),
        Hop(
            .networkLoadBalancer, "AWS Network Load Balancer", .idle, 350, at: .network, marks: .forgets,
            resetBy: "packets, TCP keepalive too; forgets silently, the next packet is answered by RST",
            source: "AWS documentation"),
        Hop(
            .natGateway, "AWS NAT gateway", .idle, 350, at: .network, marks: .forgets,
            resetBy: "packets; forgets silently, then RST",
            source: "not verified"),
        Hop(
            .apiGateway, "AWS API Gateway REST streaming, regional", .idle, 300, at: .before,
            resetBy: "bytes",
            source: "AWS documentation"),
        Hop(
            .apiGateway, "AWS API Gateway REST streaming, edge", .idle, 30, at: .before,
            resetBy: "bytes",
            source: "AWS documentation"),
        Hop(
            .apiGateway, "AWS API Gateway REST streaming", .absolute, 900, at: .before,
            resetBy: "never",
            source: "AWS documentation"),
        Hop(
            .cloudFront, "AWS CloudFront origin read", .idle, 30, at: .before,
            resetBy: "origin packets; 1 to 120 allowed",
            source: "AWS documentation and SDK"),
        Hop(
            .appRunner, "AWS App Runner", .absolute, 120, at: [.before, .behind], marks: .late,
            resetBy: "never",
            source: "reported by users"),
        Hop(
            .azureLoadBalancer, "Azure Load Balancer", .idle, 240, at: .network, marks: .forgets,
            resetBy: "bytes; forgets silently unless TCP reset is on",
            source: "Microsoft documentation"),
        Hop(
            .azureNAT, "Azure NAT gateway", .idle, 240, at: .network, marks: .forgets,
            resetBy: "packets",
            source: "not verified"),
        Hop(
            .appService, "Azure App Service", .idle, 230, at: [.before, .behind], marks: .late,
            resetBy: "bytes; the load balancer before it, not to be changed",
            source: "Microsoft documentation (functions-scale)"),
        Hop(
            .containerApps, "Azure Container Apps ingress", .idle, 240, at: [.before, .behind], marks: .late,
            resetBy: "bytes; HTTP/2 PING does not count; only premium ingress can change it",
            source: "azure-container-apps #597, #616, #113"),
        Hop(
            .apiManagement, "Azure API Management", .idle, 240, at: [.before, .behind], marks: .late,
            resetBy: "bytes",
            source: "Microsoft documentation"),
        Hop(
            .frontDoor, "Azure Front Door", .idle, 60, at: .before, marks: .late,
            resetBy: "bytes; 16 to 240 allowed",
            source: "templates and SDK tests show 60; its page not verified"),
        Hop(
            .applicationGateway, "Azure Application Gateway", .idle, 20, at: [.before, .behind],
            resetBy: "the settings page names no default; 20 and 30 are both reported",
            source: "not verified, sources conflict"),
        Hop(
            .googleBackend, "Google Cloud backend service", .absolute, 30, at: [.before, .behind], marks: .late,
            resetBy: "heartbeats did not help; the timeout had to be raised",
            source: "provider documentation, mercure #373"),
        Hop(
            .googleBackend, "Kubernetes ingress GCE", .absolute, 30, at: [.before, .behind], marks: .late,
            resetBy: "never: the same backend service; HTTP/2 clients see INTERNAL_ERROR",
            source: "ingress-gce #518"),
        Hop(
            .cloudRun, "Google Cloud Run", .absolute, 300, at: [.before, .behind], marks: .late,
            resetBy: "never; up to 2 s late (302 seen at 300, 61.0 at 60)",
            source: "Google documentation; SquadQuest #466, burla #170"),
        Hop(
            .googleNAT, "Google Cloud NAT", .idle, 1200, at: .network, marks: .forgets,
            resetBy: "packets",
            source: "provider schema (tcpEstablishedIdleTimeoutSec)"),
        Hop(
            .cloudflare, "Cloudflare proxy read", .idle, 120, at: .before, marks: .late,
            resetBy: "origin bytes; 524 before the head; older reports say 100",
            source: "Cloudflare documentation 2026-07; WaveHouse #226; shamichan #1284"),
        Hop(
            .fastly, "Fastly between bytes", .idle, 10, at: .before,
            resetBy: "backend bytes; at most 60 between Fastly's own nodes",
            source: "Fastly documentation for the 60; 10 not verified"),
        Hop(
            .fastly, "Fastly first byte", .idle, 15, at: .before, marks: .firstByteOnly,
            resetBy: "the first byte only",
            source: "Fastly documentation"),
        Hop(
            .akamai, "Akamai read timeout", .idle, 5, at: .before,
            resetBy: "each read from the origin (first byte: 20)",
            source: "Akamai's sample of the behaviour's defaults; not verified on a property"),
        Hop(
            .gcore, "Gcore CDN", .idle, 30, at: .before,
            resetBy: "reads",
            source: "Gcore documentation"),
        Hop(
            .heroku, "Heroku first byte", .idle, 30, at: [.before, .behind], marks: .firstByteOnly,
            resetBy: "the first byte only (H12)",
            source: "Heroku documentation"),
        Hop(
            .heroku, "Heroku rolling", .idle, 55, at: [.before, .behind],
            resetBy: "any byte (H15)",
            source: "Heroku documentation"),
        Hop(
            .fly, "Fly.io", .idle, 60, at: [.before, .behind],
            resetBy: "bytes",
            source: "reported by users"),
        Hop(
            .vercel, "Vercel function", .absolute, 300, at: [.before, .behind], marks: .late,
            resetBy: "never; up to 2 s late (301.4 seen)",
            source: "BuilderIO/agent-native #4788; vercel/eve #2355"),
        Hop(
            .vercel, "Vercel function, older plans", .absolute, 10, at: [.before, .behind], marks: .late,
            resetBy: "never",
            source: "sveltekit-sse #51"),
        Hop(
            .netlify, "Netlify function", .absolute, 10, at: [.before, .behind], marks: .late,
            resetBy: "never; edge functions have none",
            source: "ascorbic/sse-demo #1"),
        Hop(
            .railway, "Railway", .absolute, 300, at: [.before, .behind], marks: .late,
            resetBy: "never; later raised",
            source: "Railway's staff in its forum; today's figure not verified"),
        Hop(
            .render, "Render", .absolute, 6000, at: [.before, .behind], marks: .late,
            resetBy: "never",
            source: "not verified"),
        Hop(
            .higress, "Higress upstream", .idle, 10, at: [.before, .behind],
            resetBy: "bytes",
            source: "gpustack #4725"),
        Hop(
            .node, "Node.js server.requestTimeout", .none, 0, at: .server,
            resetBy: "300 s for receiving the request; a response is never ended by it",
            source: "tested with Node 20"),
        Hop(
            .node, "Node.js server.timeout before Node 13", .idle, 120, at: .server,
            resetBy: "bytes on the socket",
            source: "einaros/sse.js #12; tested with Node 20 and timeout set"),
        Hop(
            .bun, "Bun server idleTimeout", .idle, 10, at: .server,
            resetBy: "bytes",
            source: "reported by users"),
        Hop(
            .gunicorn, "gunicorn sync worker timeout", .absolute, 30, at: .server, marks: .late,
            resetBy:
                "never; checked once a second; the worker is killed, FIN without the last chunk; threaded and async workers are"
                + " not concerned",
            source: "gunicorn documentation; tested"),
        Hop(
            .uvicorn, "uvicorn", .none, 0, at: .server,
            resetBy: "no limit on a response",
            source: "not verified"),
        Hop(
            .puma, "Puma", .none, 0, at: .server,
            resetBy: "no limit on a response; worker_timeout (60) is about a process that hangs",
            source: "Puma source"),
        Hop(
            .cowboy, "Cowboy idle_timeout", .absolute, 60, at: .server,
            resetBy: "bytes from the client only, what is sent does not count: for a stream a total",
            source: "Cowboy manual; mustafaturan/sse #9"),
        Hop(
            .micronaut, "Micronaut on Netty", .idle, 300, at: .server,
            resetBy: "bytes",
            source: "nf-tower #48"),
        Hop(
            .kestrel, "Kestrel", .none, 0, at: .server,
            resetBy: "no limit on a response; a minimum rate only while bytes wait",
            source: "not verified"),
        Hop(
            .iis, "IIS connectionTimeout", .idle, 120, at: [.before, .behind, .server],
            resetBy: "bytes",
            source: "a page that lists applicationHost.config's defaults"),
        Hop(
            .iisRouting, "IIS ARR proxy timeout", .idle, 120, at: [.before, .behind],
            resetBy: "bytes",
            source: "not verified"),
        Hop(
            .php, "PHP max_execution_time", .absolute, 30, at: .server,
            resetBy: "never; counts CPU time on Unix, wall clock on Windows",
            source: "not verified"),
        Hop(
            .passenger, "Passenger", .none, 0, at: .server,
            resetBy: "no limit on a request by default",
            source: "not verified"),
        Hop(
            .mercure, "Mercure hub write_timeout", .absolute, 600, at: .server,
            resetBy: "never",
            source: "Mercure documentation"),
        Hop(
            .spring, "Spring MVC async with Tomcat", .absolute, 30, at: .server, marks: .late,
            resetBy: "never: a total, until spring.mvc.async.request-timeout is set",
            source: "tested with Tomcat 10, and with Spring MVC on Tomcat 9"),
        Hop(
            .applicationLoadBalancer, "AWS ALB set to 180 s", .idle, 180, at: [.before, .behind],
            resetBy: "bytes",
            source: "seed: WebFlux and Kafka article"),
        Hop(
            .apiManagement, "Azure API Management, as the energy client had it", .absolute, 30, at: [.before, .behind], marks: .late,
            resetBy: "never",
            source: "seed: .NET and Angular article"),
        Hop(
            .yaffle, "Yaffle EventSource polyfill", .idle, 45, at: .client,
            resetBy: "any character, comments too",
            source: "Yaffle #76, #143"),
        Hop(
            .undici, "undici and Node's fetch, bodyTimeout", .idle, 300, at: .client,
            resetBy: "body bytes",
            source: "undici documentation; modelcontextprotocol/typescript-sdk #270"),
        Hop(
            .aiohttp, "aiohttp client, total", .absolute, 300, at: .client,
            resetBy: "never",
            source: "rroller/dahua #501"),
        Hop(
            .okhttp, "OkHttp client, readTimeout", .idle, 10, at: .client,
            resetBy: "bytes",
            source: "not verified"),
        Hop(
            .urlSession, "Apple URLSession, timeoutIntervalForRequest", .idle, 60, at: .client,
            resetBy: "bytes",
            source: "not verified"),
        Hop(
            .carrierNAT, "Mobile carriers' NAT", .idle, 300, at: .network, marks: .forgets,
            resetBy: "packets; forgets silently",
            source: "more than 100 carriers measured by NetPiculet (SIGCOMM 2011); the figure not verified"),
        Hop(
            .homeNAT, "Home routers' NAT", .idle, 7440, at: .network, marks: .forgets,
            resetBy: "packets; forgets silently; RFC 5382 asks for this much, many keep less",
            source: "RFC 5382; OpenWrt's default"),
        Hop(
            .conntrack, "Linux conntrack", .idle, 432000, at: .network, marks: .forgets,
            resetBy: "packets",
            source: "kernel default; often lowered to minutes"),
        Hop(
            .ipvs, "kube-proxy in IPVS mode", .idle, 900, at: .network, marks: .forgets,
            resetBy: "packets; forgets silently",
            source: "not verified"),
        Hop(
            .inspection, "SSL-inspecting proxies and virus scanners", .none, 0, at: [.before, .client],
            resetBy:
                "no figure is published; seen: the first event held until the second comes, all held until the end, HTTP/2 "
                + "streams reset after 16 s",
            source: "featurehub #296, dozzle #1802, coder/agentapi #204"),
    ]
}
