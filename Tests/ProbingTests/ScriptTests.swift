// Scripts, their playback and what a client reads of it.

import Credentials
import ProbeScripts
import Testing

@Suite("A script of a probe")
struct ScriptTests {
    private static let nonce = "0123456789abcdef0123456789abcdef"

    private func script(_ change: (inout ProbeScript) -> Void = { _ in }) -> ProbeScript {
        var script = ProbeScript(nonce: Self.nonce, askedAt: 1_800_000_000)
        change(&script)
        return script
    }

    private func read(_ query: String) throws -> ProbeScript { try ProbeScript(query: Substring(query).utf8) }

    @Test("is read from its own query, also with parameters of strangers around it")
    func roundTrip() throws {
        let whole = script { script in
            script.holdMilliseconds = 20_000
            script.parts = [.init(1, afterEach: 0), .init(20, comments: true, afterEach: 250, bytes: 30)]
            script.stays = true
            script.forbidsBuffering = true
        }
        #expect(try read(whole.query) == whole)
        #expect(try read("utm=1&" + whole.query + "&token=x&nonce=other").query == whole.query)
        #expect(whole.durationMilliseconds == 25_000 && whole.itemCount == 21)
    }

    @Test(
        "is refused where it is malformed or beyond the endpoint's bounds",
        arguments: [
            "", "nonce=1&at=1&play=1e0", "nonce=0123456789abcdef0123456789abcdeg&at=1&play=1e0", "at=1&play=1e0",
            "nonce=N&play=1e0", "nonce=N&at=x&play=1e0", "nonce=N&at=01&play=1e0", "nonce=N&at=1&play=1", "nonce=N&at=1&play=0e0",
            "nonce=N&at=1&play=2e10", "nonce=N&at=1&play=1e0x100", "nonce=N&at=1&play=9e1000x1025", "nonce=N&at=1&play=1e9000x4097",
            "nonce=N&at=1&hold=3600001&play=1e0", "nonce=N&at=1&play=3601e1000", "nonce=N&at=1&play=3600e1001", "nonce=N&at=1&stay=2",
            "nonce=N&at=1&play=1e-5", "nonce=N&at=1&play=1e0,", "nonce=N&at=99999999999999999999&play=1e0",
            "nonce=N&at=1&play=" + String(repeating: "1e50,", count: 16) + "1e50",
        ])
    func refused(query: String) {
        // The last but one is what an empty word behind a comma is: it plays nothing, and is not refused.
        let text = query.replacing("=N&", with: "=\(Self.nonce)&")
        guard !query.hasSuffix("e0,") else { return #expect((try? read(text))?.itemCount == 1) }
        #expect(throws: ProbeScriptError.self) { try read(text) }
    }

    @Test("makes each item exactly as long as it is asked for, if it can be that short")
    func lengths() {
        for length in 1...40 {
            var script = ProbeScript(nonce: Self.nonce, askedAt: 0)
            script.parts = [.init(1, afterEach: 1_000, bytes: length)]
            var playback = ProbePlayback(script)
            var bytes: [UInt8] = []
            playback.writeNext(at: 5, opening: [], to: &bytes)
            #expect(bytes.count == max(length, "data: n=0 ms=5\n\n".utf8.count))
        }
    }

    @Test("is played in order with numbers and times, as long as asked for, and read again in any pieces")
    func playback() {
        let whole = script {
            $0.parts = [.init(1, afterEach: 0), .init(2, comments: true, afterEach: 250, bytes: 64), .init(1, afterEach: 100)]
        }
        var playback = ProbePlayback(whole)
        var bytes: [UInt8] = []
        var sizes: [Int] = []
        while let due = playback.nextAt {
            let before = bytes.count
            playback.writeNext(at: due + 1, opening: ["nonce=\(Self.nonce)", "field via=1.1 x"], to: &bytes)
            sizes.append(bytes.count - before)
        }
        #expect(sizes[1] == 64 && sizes[2] == 64)
        for split in 0...bytes.count {
            var reader = ProbeItemReader()
            let items = [bytes[..<split], bytes[split...]].flatMap { piece in Array(piece).withUnsafeBytes { reader.receive($0) } }
            #expect(items.map(\.number) == [0, 1, 2, 3] && items.map(\.madeAt) == [1, 251, 501, 601])
            #expect(items.map(\.isComment) == [false, true, true, false])
            #expect(reader.facts.map(\.name) == ["nonce", "field via"] && reader.facts[1].value == "1.1 x")
        }
    }

    @Test("is read by a client within bounds, whatever comes")
    func hostile() {
        var reader = ProbeItemReader()
        let endless = [UInt8](repeating: UInt8(ascii: "x"), count: 100_000)
        #expect(endless.withUnsafeBytes { reader.receive($0) }.isEmpty)
        let lines = Array("\ndata: n=-1 ms=5\n: n=1 ms=99999999999999\ndata: n=1\ndata: n=2 ms=3\n".utf8)
        #expect(lines.withUnsafeBytes { reader.receive($0) }.map(\.number) == [2])
        let facts = Array(String(repeating: "data: a=b\n", count: 1_000).utf8)
        _ = facts.withUnsafeBytes { reader.receive($0) }
        #expect(reader.facts.count == 160)
    }

    @Test("a sighting is read from its own line, and from no other nonce's")
    func sighting() {
        let seen = ProbeSighting(
            endedAfterMilliseconds: 60_003, cause: "client_closed", side: "client", silenceMilliseconds: 60_000, items: 1)
        let line = seen.line(nonce: Self.nonce)
        #expect(ProbeSighting.read(Substring(line), nonce: Self.nonce) == .some(.some(seen)))
        #expect(ProbeSighting.read(Substring(ProbeSighting.unknownLine(nonce: Self.nonce)), nonce: Self.nonce) == .some(nil))
        #expect(ProbeSighting.read(Substring(line), nonce: "other") == nil)
        #expect(ProbeSighting.read("<html>no</html>", nonce: Self.nonce) == nil)
    }

    @Test("is proved by a keyed hash: another secret, another script and another length are refused")
    func proof() throws {
        let secret = try ProbeSecret(fileContent: Array("  a secret of some length\r\n".utf8))
        let same = try ProbeSecret(fileContent: Array("a secret of some length".utf8))
        let other = try ProbeSecret(fileContent: Array("another secret of some length".utf8))
        let text = script().query
        let proof = try #require(secret.proof(of: text))
        #expect(proof.utf8.count == ProbeSecret.proofDigits && same.accepts(Array(proof.utf8), of: text))
        #expect(!other.accepts(Array(proof.utf8), of: text) && !secret.accepts(Array(proof.utf8), of: text + "&x"))
        #expect(!secret.accepts(Array(proof.utf8.dropLast()), of: text) && !secret.accepts([], of: text))
        #expect(!"\(secret)".contains("length") && !String(reflecting: secret).contains("length"))
        #expect(throws: ProbeSecretError.tooShort) { try ProbeSecret(fileContent: Array("  short \n".utf8)) }
    }
}
