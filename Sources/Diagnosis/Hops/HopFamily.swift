// Hops that have the same settings, and how each gives itself away by a request's fields.

/// A program, a service or a library, however many limits it has.
package enum HopFamily: String, CaseIterable, Sendable {
    // Proxies that people run themselves.
    case nginx, ingressNginx, traefik, caddy, apache, varnish, h2o, haproxy, kong, envoy, envoyGateway, appMesh, istio, yarp, higress
    // Services of clouds, networks for delivery, platforms.
    case classicLoadBalancer, applicationLoadBalancer, networkLoadBalancer, natGateway, apiGateway, cloudFront, appRunner
    case azureLoadBalancer, azureNAT, appService, containerApps, apiManagement, frontDoor, applicationGateway
    case googleBackend, cloudRun, googleNAT
    case cloudflare, fastly, akamai, gcore, heroku, fly, vercel, netlify, railway, render
    // Servers.
    case node, bun, gunicorn, uvicorn, puma, cowboy, micronaut, kestrel, iis, iisRouting, php, passenger, mercure, spring
    // Clients' programs.
    case yaffle, undici, aiohttp, okhttp, urlSession
    // Networks.
    case carrierNAT, homeNAT, conntrack, ipvs, inspection

    /// The words by which `hops` in the log names it.
    var words: [String] {
        switch self {
        case .nginx, .ingressNginx: ["nginx"]
        case .traefik, .apache: ["traefik_or_httpd"]
        case .caddy: ["caddy"]
        case .varnish: ["varnish"]
        case .kong: ["kong"]
        case .envoy, .envoyGateway, .istio, .appMesh: ["envoy"]
        case .applicationLoadBalancer, .apiGateway: ["aws_load_balancer"]
        case .cloudFront: ["cloudfront"]
        case .googleBackend, .cloudRun: ["google"]
        case .frontDoor: ["azure_front_door"]
        case .appService, .iisRouting: ["azure_app_service"]
        case .cloudflare: ["cloudflare"]
        case .fastly: ["fastly"]
        case .akamai: ["akamai"]
        case .heroku: ["heroku"]
        case .fly: ["fly"]
        case .vercel: ["vercel"]
        case .netlify: ["netlify"]
        case .railway: ["railway"]
        case .render: ["render"]
        case .inspection: ["zscaler", "blue_coat", "squid"]
        default: []
        }
    }

    /// Whether one of these words from the log names it.
    func isNamed(in hops: [String]) -> Bool { hops.contains { words.contains($0) } }

    /// Whether it can stand before the proxy without being seen: it passes the client's address on in a header of the PROXY protocol, or
    /// uses that address itself.
    var canKeepAddress: Bool {
        switch self {
        case .haproxy, .nginx, .envoy, .envoyGateway, .istio, .varnish, .h2o, .caddy, .traefik, .classicLoadBalancer, .googleBackend, .fly:
            true
        default: false
        }
    }

    /// The classes of programs (`agent` in the log) that such a client's library can belong to; empty for what is no client's library.
    /// A program may give itself another name, which the log calls `other`.
    var agents: Set<String> {
        switch self {
        case .yaffle: ["chrome", "firefox", "safari", "mobile_safari", "node", "other"]
        case .undici: ["node", "other"]
        case .aiohttp: ["python", "other"]
        case .okhttp: ["okhttp", "other"]
        case .urlSession: ["mobile_safari", "safari", "other"]
        default: []
        }
    }

    /// Whether people set its limit in a file of their own.
    var isOftenChanged: Bool {
        switch self {
        case .nginx, .ingressNginx, .varnish, .kong, .envoy, .envoyGateway, .istio, .applicationLoadBalancer: true
        default: false
        }
    }

    /// Whether it adds a field of its own to every request, so that its absence from the log excludes it.
    var alwaysNamesItself: Bool {
        switch self {
        case .applicationLoadBalancer, .apiGateway, .cloudFront, .googleBackend, .cloudRun, .frontDoor, .cloudflare, .heroku, .fly,
            .vercel, .railway, .render, .netlify:
            true
        default: false
        }
    }
}
