// What a route does when the server's part of a kept stream is over.

import Testing

@testable import Configuration

@Suite("A route whose clients outlast their servers' streams")
struct ServerStreamTests {
    private func file(_ route: String) -> String { "listen a:1\nroute /* {\nupstream b:2\n\(route)\n}\n" }

    private func continuity(_ route: String) throws -> Continuity {
        let parsed = try parse(file("history {\n}\n\(route)"))
        #expect(parsed.warnings == [])
        return try #require(parsed.configuration.routes.first?.continuity)
    }

    @Test("asks a server again only where it says so")
    func defaults() throws {
        let plain = try continuity("")
        #expect(plain.maskMilliseconds == nil && plain.greetings == [] && plain.recycle == nil && plain.merge == nil)
        #expect(try continuity("mask off\nrecycle off\nmerge off") == plain)
    }

    @Test("is what it says")
    func everything() throws {
        let masked = try continuity("mask 1m\ngreeting connected \"a b\"\ngreeting message")
        #expect(masked.maskMilliseconds == 60_000 && masked.greetings == ["connected", "a b", "message"])
        #expect(try continuity("mask 100ms").maskMilliseconds == 100)
        #expect(try continuity("mask 1h").maskMilliseconds == 3_600_000)
        let names = (1...16).map { "t\($0)" }
        #expect(try continuity("mask 1s\ngreeting \(names.joined(separator: " "))").greetings == names)
    }

    @Test("replaces a server's stream as it says")
    func recycling() throws {
        func recycle(_ line: String) throws -> Recycle? { try continuity("mask 1m\n\(line)").recycle }
        #expect(try recycle("recycle 25s overlap") == Recycle(ageMilliseconds: 25_000, manner: .overlap))
        #expect(try recycle("recycle 1s break") == Recycle(ageMilliseconds: 1_000, manner: .interrupt))
        #expect(try recycle("recycle 24h overlap") == Recycle(ageMilliseconds: 86_400_000, manner: .overlap))
        #expect(try recycle("recycle off") == nil)
    }

    @Test(
        "merges the streams of its servers as it says",
        arguments: [
            ("merge all", Merge()), ("merge all unique id 100ms", Merge(dropping: .init(.id, withinMilliseconds: 100))),
            ("merge all unique data 1h", Merge(dropping: .init(.data, withinMilliseconds: 3_600_000))),
        ])
    func merging(line: String, merge: Merge) throws {
        let merged = try continuity(line)
        #expect(merged.merge == merge && merged.history.ids == .own)
        #expect(try parse(file("history {\nids own\n}\n\(line)")).configuration.routes[0].continuity == merged)
    }

    @Test("warns where there is only one server to merge")
    func oneServer() throws {
        func warnings(_ servers: String) throws -> [String] {
            brief(try parse("listen a:1\nroute /* {\nupstream \(servers)\nhistory {\n}\nmerge all\n}\n").warnings)
        }
        for one in ["10.0.0.1:80", "[::1]:80", "unix:/run/a", "https://10.0.0.1"] {
            let found = try warnings(one)
            #expect(found.count == 1 && found[0].hasPrefix("6:1 this upstream has one address, so there is nothing to merge"), "\(found)")
        }
        for several in ["10.0.0.1:80 10.0.0.2:80", "pods:80"] { #expect(try warnings(several) == []) }
    }

    @Test(
        "is refused where it would mean nothing",
        arguments: [
            ("mask 1m", "5:1", "'mask' means nothing without a 'history' block in this route"),
            ("greeting a\nmask 1m", "5:1", "'greeting' means nothing without a 'history' block in this route"),
            ("greeting a\nhistory {\n}", "5:1", "'greeting' means nothing without 'mask'; write, for example: mask 1m"),
            ("mask off\nhistory {\n}\ngreeting a", "8:1", "'greeting' means nothing without 'mask'; write, for example: mask 1m"),
            ("history {\n}\nmask 99ms", "7:6", "'99ms' is out of range; it may be from 100ms to 1h"),
            ("history {\n}\nmask 2h", "7:6", "'2h' is out of range; it may be from 100ms to 1h"),
            ("history {\n}\nmask 1\ngreeting a", "7:6", "the duration '1' has no unit: write 1s, or 1ms, 1m, 1h"),
            ("history {\n}\nmask on", "7:6", "'on' is not a duration; write a number and a unit: 250ms, 15s, 2m, 1h"),
            ("history {\n}\nmask 1m a", "7:9", "this is one word too many for 'mask'; write: mask DURATION|off"),
            ("history {\n}\nmask 1m\nmask 2m", "8:1", "'mask' is already said on line 7"),
            ("history {\nmask 1m\n}", "6:1", "'mask' belongs in a 'route' block, not in a 'history' block"),
            ("history {\n}\nmask 1m\ngreeting", "8:1", "'greeting' needs more; write: greeting TYPE..."),
            ("history {\n}\nmask 1m\ngreeting a a", "8:12", "this type is named twice"),
            ("history {\n}\nmask 1m\ngreeting \"\"", "8:10", "the name of an event has 1 to 64 bytes and does not begin with a blank"),
            ("history {\n}\nmask 1m\ngreeting 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "8:49", "a route can name at most 16 types here"),
            ("recycle off", "5:1", "'recycle' means nothing without a 'history' block in this route"),
            (
                "history {\n}\nrecycle 5m break", "7:1",
                "the next stream may not be there at once, so 'recycle' needs 'mask'; write, for example: mask 1m"
            ),
            (
                "recycle 5m overlap\nmask off\nhistory {\n}", "5:1",
                "the next stream may not be there at once, so 'recycle' needs 'mask'; write, for example: mask 1m"
            ),
            ("history {\n}\nmask 1m\nrecycle", "8:1", "'recycle' needs more; write: recycle DURATION overlap|break|off"),
            (
                "history {\n}\nmask 1m\nrecycle 25s", "8:9",
                "is the next stream opened first? Write: recycle 25s overlap, or if not: recycle 25s break"
            ),
            ("history {\n}\nmask 1m\nrecycle 25s overlop", "8:13", "'overlop' is none of overlap, break; did you mean 'overlap'?"),
            (
                "history {\n}\nmask 1m\nrecycle overlap 25s", "8:9",
                "'overlap' is not a duration; write a number and a unit: 250ms, 15s, 2m, 1h"
            ),
            ("history {\n}\nmask 1m\nrecycle 999ms break", "8:9", "'999ms' is out of range; it may be from 1s to 24h"),
            ("history {\n}\nmask 1m\nrecycle 25h break", "8:9", "'25h' is out of range; it may be from 1s to 24h"),
            ("history {\n}\nmask 1m\nrecycle off break", "8:13", "nothing can follow 'recycle off'"),
            (
                "history {\n}\nmask 1m\nrecycle 25s break break", "8:19",
                "this is one word too many for 'recycle'; write: recycle DURATION overlap|break|off"
            ),
            ("merge all", "5:1", "'merge' means nothing without a 'history' block in this route"),
            ("history {\n}\nmerge", "7:1", "'merge' needs more; write: merge all [unique id|data DURATION]|off"),
            ("history {\n}\nmerge al", "7:7", "'al' is none of all, off; did you mean 'all'?"),
            ("history {\n}\nmerge off all", "7:11", "nothing can follow 'merge off'"),
            ("history {\n}\nmerge all id 10s", "7:11", "'id' is none of unique"),
            (
                "history {\n}\nmerge all unique", "7:11",
                "what do equal events have in common? Write, for example: merge all unique id 10s"
            ),
            ("history {\n}\nmerge all unique type 10s", "7:18", "'type' is none of id, data"),
            (
                "history {\n}\nmerge all unique data", "7:18",
                "for how long is an event known? Write, for example: merge all unique data 10s"
            ),
            ("history {\n}\nmerge all unique id 99ms", "7:21", "'99ms' is out of range; it may be from 100ms to 1h"),
            ("history {\n}\nmerge all unique id 61m", "7:21", "'61m' is out of range; it may be from 100ms to 1h"),
            (
                "history {\nids keep\n}\nmerge all", "6:5",
                "each server counts its events for itself, so with 'merge' clients get ids of the proxy; write: ids own"
            ),
            (
                "merge all\nhistory {\nids suffix\n}", "7:5",
                "each server counts its events for itself, so with 'merge' clients get ids of the proxy; write: ids own"
            ),
        ])
    func refused(lines: String, place: String, message: String) {
        #expect(brief(diagnostics("listen a:1\nroute /* {\nupstream b:2\nvia on\n\(lines)\n}\n")) == ["\(place) \(message)"])
    }

    @Test("warns where nobody would learn what was lost")
    func silentLoss() throws {
        let silent = try parse(file("history {\n}\nmask 1m\ngap off")).warnings
        let told = "7:5 with 'mask' a page does not see that its server was away"
        #expect(silent.count == 1 && brief(silent)[0].hasPrefix(told), "\(silent)")
        for route in ["mask 1m\ngap off\nresumable on", "mask off\ngap off", "mask 1m\ngap reconnect", "mask 1m"] {
            #expect(try parse(file("history {\n}\n\(route)")).warnings == [], "\(route)")
        }
    }

    @Test("warns where each change of the server's stream would send all clients back")
    func sentBackAtEachChange() throws {
        let endless = try parse(file("history {\n}\nmask 1m\ngap reconnect\nrecycle 25s break")).warnings
        #expect(endless.count == 1 && brief(endless)[0].hasPrefix("8:13 with 'break' there is a gap at each change"), "\(endless)")
        for route in ["gap reconnect\nrecycle 25s overlap", "gap reconnect\nrecycle 25s break\nresumable on", "recycle 25s break"] {
            #expect(try parse(file("history {\n}\nmask 1m\n\(route)")).warnings == [], "\(route)")
        }
    }
}
