// Field blocks that other encoders wrote: nghttp2 and Python's hpack. The file `other-encoders.txt` says what has to be found in them.

import Foundation
import HTTP2
import Testing

@Suite("Blocks of other encoders")
struct OtherEncoderTests {
    /// One block of the file, and what has to come of it.
    private struct Expectation {
        var block: [UInt8]
        var fields: [PlainField] = []
        var table = ""
    }

    private struct Connection {
        let encoder: Substring
        let tableBytes: Int
        var blocks: [Expectation] = []
    }

    private static func connections() throws -> [Connection] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "other-encoders.txt")
        var connections: [Connection] = []
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: false)
            switch words[0] {
            case "#": continue
            case "connection": connections.append(Connection(encoder: words[1], tableBytes: try #require(Int(words[2]))))
            case "block": connections[connections.count - 1].blocks.append(Expectation(block: octets(String(words[1]))))
            default:
                var blocks = connections[connections.count - 1].blocks
                if words[0] == "table" {
                    blocks[blocks.count - 1].table = "\(words[1]) \(words[2])"
                } else {
                    let value = words[2...].joined(separator: " ")
                    blocks[blocks.count - 1].fields.append(
                        PlainField(String(words[1].dropLast()), value, isNeverIndexed: words[0] == "!"))
                }
                connections[connections.count - 1].blocks = blocks
            }
        }
        return connections
    }

    @Test("of nghttp2 and of Python's hpack are read as they were meant, with tables of three sizes that shrink on the way")
    func others() throws {
        let connections = try Self.connections()
        #expect(connections.map(\.tableBytes) == [4_096, 512, 0, 4_096, 512, 0] && Set(connections.map(\.encoder)).count == 2)
        for connection in connections {
            var decoding = Decoding(tableBytes: connection.tableBytes)
            #expect(connection.blocks.count >= 3)
            for block in connection.blocks {
                #expect(block.fields.count > 10)
                #expect(try decoding.decode(block.block) == block.fields)
                #expect("\(decoding.table.count) \(decoding.decoder.tableBytes)" == block.table)
            }
        }
    }
}
