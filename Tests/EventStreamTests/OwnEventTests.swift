// Events that no server has sent: how they are written, and where they stand in a log.

import EventStream
import Testing

@Suite("An event that is published")
struct OwnEventTests {
    private func makeLog(_ identifiers: IdentifierPolicy) -> BlockLog {
        BlockLog(
            BlockLog.Rules(identifiers: identifiers, gaps: .off), epoch: Epoch(truncating: 0x0001_0203_0405))
    }

    private func written(_ data: String, type: String = "") -> String {
        let log = makeLog(.own)
        log.append(OwnEvent(type: Array(type.utf8), data: Array(data.utf8)), at: 0)
        return log.readAll().joined()
    }

    @Test(
        "has a data line for each line of its text, whatever ends the lines",
        arguments: [
            ("a", "data: a\n"), ("", "data: \n"), ("\n", "data: \n"), ("\r\n", "data: \n"), ("a\n", "data: a\n"),
            ("a\n\n", "data: a\ndata: \n"), ("\na", "data: \ndata: a\n"), ("a\nb\rc\r\nd", "data: a\ndata: b\ndata: c\ndata: d\n"),
            ("a\r\r\nb", "data: a\ndata: \ndata: b\n"), (" a", "data:  a\n"),
            ("id: 1\n\nevent: x", "data: id: 1\ndata: \ndata: event: x\n"),
        ])
    func lines(text: String, lines: String) { #expect(written(text) == "id: hw1.AAECAwQF.1\n\(lines)\n") }

    @Test("has its type in front of its data")
    func type() { #expect(written("a", type: "no tice") == "id: hw1.AAECAwQF.1\nevent: no tice\ndata: a\n\n") }

    @Test("has an id where clients have the proxy's, and counts as a block of the log")
    func identifiers() {
        let event = OwnEvent(type: [], data: Array("p".utf8))
        let kept = makeLog(.keep)
        kept.append(event, at: 0)
        kept.append("id: 7\ndata: a\n\n")
        kept.append(event, at: 0)
        #expect(kept.readAll().joined() == "id: hw1.AAECAwQF.1\ndata: p\n\nid: 7\ndata: a\n\ndata: p\n\n")
        #expect(kept.next == 4 && kept.lastServerIdentifier == Array("7".utf8))
        let suffixed = makeLog(.suffix)
        suffixed.append("id: 7\ndata: a\n\n")
        suffixed.append(event, at: 0)
        #expect(suffixed.readAll().joined() == "id: 7~hw1.AAECAwQF.1\ndata: a\n\nid: 7~hw1.AAECAwQF.2\ndata: p\n\n")
    }
}
