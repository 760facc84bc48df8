// What a page of another site may read of the console: every combination of the four fields by which a browser says who asks.

import Configuration
import HTTP
import Telemetry
import Testing

@testable import Console

private let paths: [(path: String, resource: Resource)] = [
    ("/", .page), ("/console.js", .script), ("/console.css", .style), ("/feed", .feed), ("/metrics", .metrics), ("/healthz", .health),
    ("/readyz", .readiness), ("/streams/w0-000001/feed", .streamFeed(StreamIdentifier(worker: 0, number: 1))),
]
private let sites = [nil, "same-origin", "none", "same-site", "cross-site", "Cross-Site", ""]
private let modes = [nil, "navigate", "cors", "no-cors", "same-origin", "websocket", "Navigate"]
private let destinations = [nil, "document", "iframe", "frame", "embed", "object", "empty", "script", "image", "Document"]
private let ownOrigins = [nil, "http://localhost:9464", "https://localhost:9464"]
private let strangers = ["http://evil.example", "null", "http://localhost", "http://localhost:3000", "localhost:9464", ""]

private func decision(_ path: String, _ fields: [(name: String, value: String?)], method: String = "GET") throws -> GateDecision {
    let lines = fields.compactMap { field in field.value.map { "\(field.name): \($0)" } }
    let text = (["\(method) \(path) HTTP/1.1", "Host: localhost:9464"] + lines + ["", ""]).joined(separator: "\r\n")
    let limits = HeadLimits(headBytes: 16_384, fieldCount: 100, targetBytes: 8_192)
    let settings = ConsoleSettings(listeners: [], tokenDigest: nil, allowedHosts: [])
    return Gate(ConsoleTerms(settings, pageToken: [])).decide(try RequestHead.parse(Array(text.utf8).span, limits: limits))
}

private func decision(
    _ path: String, site: String?, mode: String?, destination: String?, origin: String?
) throws -> GateDecision {
    try decision(
        path, [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", destination), ("Origin", origin)])
}

@Suite("The console, asked by a page of another site")
struct ForeignReadTests {
    @Test("serves its own page, an address that somebody typed, and programs, whatever they say of mode and destination")
    func own() throws {
        for (path, resource) in paths {
            for site in [nil, "same-origin", "none"] {
                for mode in modes {
                    for destination in destinations {
                        for origin in ownOrigins {
                            let decided = try decision(path, site: site, mode: mode, destination: destination, origin: origin)
                            #expect(decided == .allowed(resource), "\(path) \(site ?? "-") \(mode ?? "-") \(destination ?? "-")")
                        }
                    }
                }
            }
        }
    }

    @Test("may be linked to from another site, by its page's address and as a whole document, and by nothing else")
    func foreign() throws {
        var linkCount = 0
        for (path, resource) in paths {
            for site in sites.dropFirst(3) {
                for mode in modes {
                    for destination in destinations {
                        for origin in ownOrigins {
                            let decided = try decision(path, site: site, mode: mode, destination: destination, origin: origin)
                            let isLink = resource == .page && mode == "navigate" && destination == "document"
                            linkCount += isLink ? 1 : 0
                            let wanted = isLink ? GateDecision.allowed(resource) : .refused(.foreignPage)
                            #expect(decided == wanted, "\(path) \(site ?? "-") \(mode ?? "-") \(destination ?? "-")")
                        }
                    }
                }
            }
        }
        #expect(linkCount == 4 * ownOrigins.count)
    }

    @Test("refuses a foreign Origin, also from a browser that says nothing else, and by HEAD", arguments: strangers)
    func foreignOrigin(origin: String) throws {
        for (path, _) in paths {
            for site in sites {
                for mode in modes {
                    for destination in destinations {
                        #expect(
                            try decision(path, site: site, mode: mode, destination: destination, origin: origin) == .refused(.foreignPage))
                    }
                }
            }
            #expect(try decision(path, [("Origin", origin)], method: "HEAD") == .refused(.foreignPage))
        }
    }

    @Test("believes no field that stands twice")
    func twice() throws {
        let link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
        for field in link {
            let wanted: GateDecision = field.0 == "Sec-Fetch-Site" ? .allowed(.page) : .refused(.foreignPage)
            #expect(try decision("/", (link + [field]).map { ($0.0, $0.1) }) == wanted)
        }
        #expect(try decision("/feed", [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]) == .refused(.foreignPage))
        let origin = ("Origin", Optional("http://localhost:9464"))
        #expect(try decision("/feed", [origin, origin]) == .refused(.foreignPage))
    }
}
