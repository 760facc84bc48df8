// Pages of other origins that ask by CORS: with preflights and without, with cookies and without, of origins that the route names and of
// others, some of which look almost the same. And the model of what a browser lets a page see (Fetch sections 4.8 and 4.10).

import Configuration
import TestSupport

@testable import Reactor

/// Who may read, in one world.
struct CrossOriginPlan {
    /// The paths of the route that names its readers.
    static let path = "/shared/"
    private static let named = ["https://app.example", "https://*.example.org:8443"]
    /// What browsers send for those, and for others. An empty one stands for the proxy's own pages and for programs.
    static let permitted = ["https://app.example", "https://a.example.org:8443", "https://a.b.example.org:8443"]
    static let others = [
        "", "null", "https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.evil.example",
        "https://xapp.example", "https://example.org:8443", "https://a.example.org", "https://a.evilexample.org:8443",
        "https://evil.example/.example.org:8443", "*", "https://app.example, https://app.example", "https://a.example.org:84430",
    ]

    let allowsCredentials: Bool
    let pageCount: Int
    /// Whether the routes that want credentials name the same readers.
    let isEverywhere: Bool

    /// Two worlds of five have such a route. Nothing of the world itself follows from these choices.
    init?(ofWorld seed: UInt64) {
        var chance = Chance(seed: seed &+ 17_017)
        guard chance.permille(400) else { return nil }
        allowsCredentials = chance.permille(600)
        pageCount = chance.number(1...6)
        isEverywhere = chance.permille(500)
    }

    /// The route of the pages, in every other way like the usual one.
    func route(like route: Route) -> Route {
        var route = route
        route.name = CrossOriginPlan.path + "*"
        route.path = .prefix(CrossOriginPlan.path)
        nameReaders(of: &route)
        return route
    }

    func nameReaders(of route: inout Route) {
        route.allowedOrigins = CrossOriginPlan.named.compactMap(OriginPattern.init)
        route.allowsCredentials = allowsCredentials
    }
}

/// What a page asks for.
struct CrossOriginAsk {
    let origin: String
    var isPreflight = false
    /// Whether the page sends cookies.
    var hasCredentials = false
    /// What it wants to send later, where this is a preflight; in lower case.
    var fields: [String] = []

    var isPermitted: Bool { CrossOriginPlan.permitted.contains(origin) }

    /// Whether a browser lets the page read the answer.
    func isReadable(_ response: Response) -> Bool {
        let allowed = response.fields.filter { $0.name == "access-control-allow-origin" }.map(\.value)
        guard allowed.count == 1 else { return false }
        if allowed[0] == "*", !hasCredentials { return true }
        guard allowed[0] == origin, !origin.isEmpty else { return false }
        return !hasCredentials || response["access-control-allow-credentials"] == "true"
    }

    /// Whether a browser then sends what it has asked about.
    func isApproved(_ response: Response, method: String) -> Bool {
        func list(_ name: String) -> [String] {
            (response[name] ?? "").split(separator: ",").map { $0.drop { $0 == " " }.lowercased() }
        }
        guard isReadable(response), (200...299).contains(response.status) else { return false }
        let methods = list("access-control-allow-methods")
        let names = list("access-control-allow-headers")
        return (["GET", "HEAD", "POST"].contains(method) || methods.contains(method.lowercased())) && fields.allSatisfy(names.contains)
    }
}

extension Scenario {
    func addPages() {
        guard let rules = plan.crossOrigin else { return }
        for number in 0..<rules.pageCount { world.after(Int64(world.chance.number(0...25_000))) { [self] in addPage(number) } }
    }

    /// A page that asks whether it may, and then asks: a browser would not always.
    private func addPage(_ number: Int) {
        let origin = world.chance.pick(world.chance.permille(500) ? CrossOriginPlan.permitted : CrossOriginPlan.others)
        let hasCredentials = world.chance.permille(500)
        let page = origin.isEmpty ? "" : "Origin: \(origin)\r\n"
        let cookie = hasCredentials ? "Cookie: a=b\r\n" : ""
        var requests: [(truth: Truth, bytes: [UInt8])] = []
        for index in 0..<world.chance.number(1...3) {
            let method = world.chance.pick(["GET", "GET", "HEAD", "POST"])
            let isStream = method == "GET" && world.chance.permille(500)
            if !origin.isEmpty, world.chance.permille(600) {
                let fields = world.chance.pick([[], ["authorization"], ["authorization", "last-event-id"], ["content-type"]])
                let wants = fields.isEmpty ? "" : "Access-Control-Request-Headers: \(fields.joined(separator: ","))\r\n"
                let truth = Truth(path: "\(CrossOriginPlan.path)preflight/\(number)/\(index)", isStream: false)
                truth.crossOrigin = CrossOriginAsk(origin: origin, isPreflight: true, hasCredentials: hasCredentials, fields: fields)
                let lines = "\(page)Access-Control-Request-Method: \(method)\r\n\(wants)"
                requests.append((truth, Array("OPTIONS \(truth.path) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n".utf8)))
            } else if world.chance.permille(250) {
                // OPTIONS that is no preflight is a request like any other.
                let truth = Truth(path: "\(CrossOriginPlan.path)options/\(number)/\(index)", isStream: false)
                truth.crossOrigin = CrossOriginAsk(origin: origin, hasCredentials: hasCredentials)
                let lines = origin.isEmpty ? "Access-Control-Request-Method: GET\r\n" : page
                requests.append((truth, Array("OPTIONS \(truth.path) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n".utf8)))
            }
            let name = isStream ? "stream" : method.lowercased()
            let truth = Truth(path: "\(CrossOriginPlan.path)\(name)/\(number)/\(index)", isStream: isStream)
            truth.crossOrigin = CrossOriginAsk(origin: origin, hasCredentials: hasCredentials)
            let accept = isStream ? "Accept: text/event-stream\r\n" : ""
            let length = method == "POST" ? "Content-Length: 0\r\n" : ""
            requests.append(
                (truth, Array("\(method) \(truth.path) HTTP/1.1\r\nHost: a\r\n\(page)\(cookie)\(accept)\(length)\r\n".utf8)))
            // Nothing follows a stream on its connection for certain.
            if isStream { break }
        }
        for (truth, _) in requests { register(truth) }
        let client = SimulatedClient(
            world, connection(from: 4_000 + number), truths: requests.map(\.truth), requests: requests.map(\.bytes), isSlow: false,
            sendsAllAtOnce: false)
        clients.append(client)
        guard world.chance.permille(300) else { return }
        world.after(Int64(world.chance.number(0...20_000))) { client.leave(.left) }
    }
}
