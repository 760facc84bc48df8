// Which setting to change, and to what, for each family of hops.
//
// Invariant: a family whose limit cannot be changed says so; nobody is sent to look for a setting that is not there.

extension HopFamily {
    /// What to change so that an event stream survives: the setting with its value, as it is written there. A sentence without its full
    /// stop, that follows the family's name and a colon.
    var setting: String {
        proxySetting ?? serviceSetting ?? serverSetting ?? clientSetting ?? "its limit cannot be changed from here"
    }

    private var proxySetting: String? {
        switch self {
        case .nginx:
            "proxy_read_timeout 1h in the location of the streams, with proxy_http_version 1.1, proxy_buffering off and no gzip"
        case .ingressNginx:
            "the annotations nginx.ingress.kubernetes.io/proxy-read-timeout: \"3600\" and proxy-send-timeout: \"3600\", with"
                + " proxy-buffering: \"off\"; reloads: worker-shutdown-timeout"
        case .traefik: "proxyReadTimeout of its ingress-nginx provider (or the annotation proxy-read-timeout: \"3600\")"
        case .caddy: "flush_interval -1 in reverse_proxy; stream_timeout off"
        case .apache: "ProxyTimeout 3600 (or timeout=3600 of its ProxyPass line)"
        case .varnish: ".between_bytes_timeout = 1h of the backend, or return (pipe) for event streams"
        case .h2o: "proxy.timeout.io: 3600000 (milliseconds)"
        case .haproxy:
            "timeout server 1h in the backend (timeout tunnel does not apply), with option http-no-delay and option abortonclose"
        case .kong: "read_timeout: 3600000 of the service (milliseconds)"
        case .envoy: "timeout: 0s of the route, and stream_idle_timeout: 0s"
        case .envoyGateway: "requestTimeout: 0s in a BackendTrafficPolicy"
        case .appMesh: "perRequest: 0 in the timeout of the route"
        case .istio: "timeout: 0s of the route in the VirtualService"
        case .yarp: "HttpRequest.ActivityTimeout: 01:00:00 of the cluster"
        case .higress: "the upstream's idle timeout in its global configuration (upstream.idleTimeout: 3600)"
        default: nil
        }
    }

    private var serviceSetting: String? {
        switch self {
        case .classicLoadBalancer: "the attribute ConnectionSettings.IdleTimeout, up to 4000 s"
        case .applicationLoadBalancer: "the attribute idle_timeout.timeout_seconds, up to 4000"
        case .networkLoadBalancer: "the listener's attribute tcp.idle_timeout.seconds, 60 to 6000; TCP keepalive below it suffices"
        case .natGateway: "it cannot be changed; TCP keepalive or bytes below it suffice"
        case .apiGateway: "it cannot be raised: send something more often, and end streams yourself before the absolute limit, with a retry"
        case .cloudFront: "the origin's response timeout (OriginReadTimeout), up to 120 s"
        case .appRunner: "it cannot be raised: end streams yourself before it, in order and with a retry"
        case .azureLoadBalancer: "idleTimeoutInMinutes of the rule, and enableTcpReset so that it closes visibly"
        case .azureNAT: "idleTimeoutInMinutes, up to 120; TCP keepalive below it suffices"
        case .appService: "it cannot be changed: only bytes more often help"
        case .containerApps: "request-idle-timeout of premium ingress; without that it cannot be changed"
        case .apiManagement: "timeout and buffer-response=\"false\" of the forward-request policy"
        case .frontDoor: "the origin response timeout, 16 to 240 s"
        case .applicationGateway: "the request time-out of its backend settings, up to 86400 s; and response buffering off"
        case .googleBackend: "timeoutSec of the backend service (in GKE: of its BackendConfig), up to 86400"
        case .cloudRun: "--timeout 3600, its most; then end streams yourself before that, in order and with a retry"
        case .googleNAT: "--tcp-established-idle-timeout; TCP keepalive below it suffices"
        case .cloudflare: "it can be raised by an Enterprise contract only: send something more often than half of it"
        case .fastly: ".between_bytes_timeout of the backend, within Fastly's own 60 s: send something more often than half of it"
        case .akamai: "the read timeout of the property's origin behaviour"
        case .gcore, .heroku, .fly: "it cannot be changed: send something more often than half of it"
        case .vercel: "maxDuration of the function, up to what the plan allows; then end streams yourself before that, with a retry"
        case .netlify: "it cannot be raised: use an edge function, or end streams yourself before it, with a retry"
        case .railway, .render: "it cannot be raised: end streams yourself before it, in order and with a retry"
        default: nil
        }
    }

    private var serverSetting: String? {
        switch self {
        case .node: "server.timeout = 0"
        case .bun: "idleTimeout: 0 of Bun.serve, or server.timeout(request, 0)"
        case .gunicorn: "a threaded or async worker class (--worker-class gthread or gevent); its timeout is for sync workers"
        case .cowboy: "idle_timeout: infinity, or reset_idle_timeout_on_send: true (in Phoenix under protocol_options)"
        case .micronaut: "micronaut.server.idle-timeout: -1s"
        case .iis: "connectionTimeout of the site's limits, up to 12:00:00"
        case .iisRouting: "the proxy's time-out in Application Request Routing, and responseBufferLimit 0"
        case .php: "set_time_limit(0) in the script"
        case .mercure: "write_timeout 0 in the hub's block"
        case .spring: "asyncTimeout of Tomcat's Connector, spring.mvc.async.request-timeout=-1, or new SseEmitter(0L)"
        case .uvicorn, .puma, .kestrel, .passenger: "it has no limit on a response"
        default: nil
        }
    }

    private var clientSetting: String? {
        switch self {
        case .yaffle: "heartbeatTimeout of new EventSourcePolyfill, above two heartbeats"
        case .undici: "bodyTimeout: 0 of the dispatcher"
        case .aiohttp: "ClientTimeout(total=None, sock_read=…)"
        case .okhttp: "readTimeout(0) of the client's builder"
        case .urlSession: "timeoutIntervalForRequest of the session's configuration, above two heartbeats"
        case .carrierNAT, .homeNAT: "it belongs to the client's network: only bytes or TCP keepalive more often help"
        case .conntrack: "net.netfilter.nf_conntrack_tcp_timeout_established; TCP keepalive below it suffices"
        case .ipvs: "ipvsadm --set, or net.ipv4.tcp_keepalive_time below it; TCP keepalive suffices"
        case .inspection: "an exception for text/event-stream or for the host"
        default: nil
        }
    }
}
