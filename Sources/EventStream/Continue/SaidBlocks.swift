// What one server of several has said last, so that it is known again when that server is asked to go on. The log of their merged stream
// does not tell the servers apart, and they may count alike: what another one has said under the same id is no replay.
//
// Invariant: a block is known again only if this server has said the same under the same id, and no id twice.

import Bytes

/// The last blocks with ids of one server.
package struct SaidBlocks {
    private struct Said: RingElement {
        static let filler = Said(identifier: 0, whole: 0)
        var identifier: UInt64
        var whole: UInt64
    }

    /// So many blocks are known, 16 bytes each. If a server says older ones again, they pass.
    private static let most = 256
    /// So many of unknown ids may come before the first known one.
    private static let mostUnknown = 4_096

    private var blocks = Ring<Said>()

    /// Nothing has been said.
    package init() {}

    /// The server has said the block that the cutter has just found in the piece.
    package mutating func note(_ cutter: BlockCutter, of piece: Span<UInt8>) {
        guard let said = Self.said(cutter, of: piece) else { return }
        if blocks.count == Self.most { blocks.removeFirst() }
        blocks.append(said)
    }

    private static func said(_ cutter: BlockCutter, of piece: Span<UInt8>) -> Said? {
        guard let identifier = cutter.identifier(in: piece), !identifier.isEmpty else { return nil }
        return Said(identifier: UInt64(truncatingIfNeeded: identifier.hashValue) | 1, whole: BlockMark(cutter, of: piece).whole)
    }

    /// Follows a new response of the server, of which nothing has come yet.
    struct Recognition {
        private let known: [Said]
        /// The first of them that may come again.
        private var next = 0
        private var unknownCount = 0

        init(_ said: SaidBlocks) {
            let blocks = (0..<said.blocks.count).map { said.blocks[$0] }
            known = Set(blocks.map(\.identifier)).count == blocks.count ? blocks : []
        }

        /// Whether nothing comes again any more.
        var isOver: Bool { next == known.count }

        /// Nothing comes again any more.
        mutating func giveUp() { next = known.count }

        /// Whether the cutter's block is one that the server has said. To be asked for each block once, and only until `isOver`.
        mutating func recognises(_ cutter: BlockCutter, of piece: Span<UInt8>) -> Bool {
            guard let said = SaidBlocks.said(cutter, of: piece) else { return false }
            if let place = known[next...].firstIndex(where: { $0.identifier == said.identifier && $0.whole == said.whole }) {
                next = place + 1
                return true
            }
            // Some servers begin with the id that they were asked for, alone, so that a client has it again. It changes nothing.
            if !cutter.block.hasData, cutter.block.retryMilliseconds == nil, said.identifier == known.last?.identifier { return true }
            // Before the first known one may stand older ones, and ones that the server has said only since it was asked. Another block of
            // a known id says that ids begin again with each response.
            unknownCount += 1
            let isOther = known.contains { $0.identifier == said.identifier }
            if isOther || next > 0 || unknownCount == SaidBlocks.mostUnknown { giveUp() }
            return false
        }
    }
}
