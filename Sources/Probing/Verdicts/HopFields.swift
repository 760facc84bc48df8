// The intermediaries that give themselves away by fields, in the words of the logs' `hops`. The table of requests' fields is that of the
// logs; responses have a few signs more. Anybody can forge these fields: evidence, no proof.

import Telemetry

/// Finds intermediaries in fields.
enum HopFields {
    /// Signs that only responses bear.
    private static let ofResponses: [(word: String, field: String, value: String?)] = [
        ("cloudflare", "server", "cloudflare"), ("aws_load_balancer", "server", "awselb"), ("google", "server", "google frontend"),
        ("envoy", "server", "envoy"), ("envoy", "server", "istio"), ("nginx", "server", "nginx"), ("nginx", "server", "openresty"),
        ("caddy", "server", "caddy"), ("httpd", "server", "apache"), ("haproxy", "server", "haproxy"), ("h2o", "server", "h2o"),
        ("api_gateway", "x-amzn-requestid", nil), ("httpd", "via", "apache"),
    ]

    /// The intermediaries that a response's fields name, each with the field that names it.
    static func ofResponse(_ fields: [(name: String, value: String)]) -> [(hop: String, field: String)] {
        var found = ofRequest(fields)
        for row in ofResponses where !found.contains(where: { $0.hop == row.word }) {
            let isThere = fields.contains { field in
                field.name == row.field && row.value.map { field.value.lowercased().contains($0) } != false
            }
            if isThere { found.append((row.word, row.field)) }
        }
        return found
    }

    /// The intermediaries that a request's fields name, as they arrived at the proxy.
    static func ofRequest(_ fields: [(name: String, value: String)]) -> [(hop: String, field: String)] {
        var found: [(hop: String, field: String)] = []
        for sign in HopSign.all {
            let (word, name, value) = ("\(sign.word)", "\(sign.field)", sign.value.map { "\($0)" })
            guard !found.contains(where: { $0.hop == word }) else { continue }
            let field = fields.first { field in
                let isNamed = sign.match == .whole ? field.name == name : field.name.hasPrefix(name)
                return isNamed && value.map { field.value.lowercased().contains($0) } != false
            }
            if let field { found.append((word, field.name)) }
        }
        return found
    }
}
