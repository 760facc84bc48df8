// What may not appear in a room's code: the walls that an import alone does not build.

import Foundation

/// What a room does not know.
struct Wall {
    let room: String
    /// Names that its code may not use: whole words, strings and comments do not count.
    var names: Set<String> = []
    /// Words that may be no part of a name in its code, in any case.
    var parts: [String] = []
    /// What its strings may not hold, as it is written in Swift.
    var texts: [String] = []
}

extension Checks {
    /// Active for a room as soon as `Sources/ROOM` exists.
    static let walls = [
        Wall(
            room: "Exchanges", names: ["Link", "ListeningSocket", "Kernel"], parts: ["SSL_", "descriptor"],
            texts: ["\"HTTP/1.", "\\r\\n", "chunked\""]),
        Wall(room: "Upstreams", names: ["Exchange", "Exchanges", "Telemetry", "Route", "Cause", "Downstreams"], parts: ["heartbeat"]),
        Wall(
            room: "Downstreams", names: ["Exchange", "Exchanges", "Telemetry", "Route", "Cause", "Upstreams", "ServerGroup"],
            parts: ["heartbeat"]),
        Wall(room: "Services", names: ["Exchange", "Exchanges", "Route", "Cause", "Downstreams"], parts: ["heartbeat"]),
        // The console shows what workers tell it, and acts only through its source.
        Wall(room: "Replay", names: ["Exchange", "Exchanges", "ExchangeWorker", "ProxyServer", "Upstreams", "Route"]),
        Wall(room: "Console", names: ["Exchange", "Exchanges", "ExchangeWorker", "ProxyServer", "Upstreams"], parts: ["SSL_"]),
        Wall(
            room: "Telemetry",
            names: ["Exchange", "Link", "Worker", "Kernel", "Acceptor", "LogFile", "Token", "TokenSource", "BearerPolicy"]),
        Wall(
            room: "Diagnosis", names: ["Exchange", "Exchanges", "Link", "Worker", "Kernel", "Socket", "SocketAddress", "Clock"],
            parts: ["descriptor", "openFile"]),
        Wall(room: "HTTP", names: ["Exchange", "Link", "Worker", "Clock", "Route"], parts: ["heartbeat"]),
        Wall(
            room: "HTTP2", names: ["Exchange", "Exchanges", "Link", "Worker", "Kernel", "Clock", "Route", "Cause"],
            parts: ["heartbeat", "descriptor"]),
        Wall(room: "EventStream", names: ["Link", "Worker", "Clock"], texts: ["HTTP/"]),
        Wall(room: "Reactor", names: ["Exchange", "Route", "Cause"], parts: ["heartbeat"], texts: ["HTTP/"]),
        Wall(room: "Credentials", names: ["Link", "Worker", "Exchange"]),
        Wall(room: "ProbeScripts", names: ["Link", "Worker", "Clock", "Exchange"], texts: ["HTTP/"]),
        Wall(room: "Probing", names: ["Exchange", "Route", "Settings", "SystemProcess", "Terminal"]),
        Wall(room: "Configuration", names: ["Link", "Worker", "Exchange"]),
    ]

    /// What a file's code knows although its room may not.
    static func walls(_ file: SourceFile) -> [String] {
        guard let wall = walls.first(where: { $0.room == file.target }) else { return [] }
        return zip(file.lines, Code.lines(of: file)).enumerated().flatMap { number, line -> [String] in
            let (written, code) = line
            let words = Code.words(code)
            let names = words.filter { word in
                wall.names.contains(String(word)) || wall.parts.contains { word.lowercased().contains($0.lowercased()) }
            }
            let isComment = written.drop { $0 == " " }.hasPrefix("//")
            let texts = isComment ? [] : wall.texts.filter(written.components(separatedBy: " // ")[0].contains)
            return (names.map(String.init) + texts).map { "\(file.path):\(number + 1): \(wall.room) may not know \($0)" }
        }
    }
}
