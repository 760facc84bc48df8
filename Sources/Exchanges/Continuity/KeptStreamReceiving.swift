// What a server says goes into the log of its kept stream, block by block, and on to the readers.
//
//     piece ──▶ the part's cutter ──▶ is it known already? ──▶ log ──▶ seats
//                      └── parts of a block above the limit ──▶ seats that are up to date; the log gets its place

import EventStream
import Reactor

extension KeptStream {
    /// Bytes of the server came.
    func receive(_ payload: UnsafeMutableRawBufferPointer, of part: ServerPart) {
        let received = UnsafeMutableRawBufferPointer(payload).bindMemory(to: UInt8.self)
        append(UnsafeBufferPointer(received).span, of: part)
        serveAll()
        if isBeginning {
            isBeginning = false
            if case .here(let reader)? = seats.first?.reader { reader.sendHead() }
        }
        trim()
        pauseIfUnread()
    }

    private func append(_ payload: Span<UInt8>, of part: ServerPart) {
        guard var rest = cut(payload, by: part) else { return }
        while let next = cut(rest.span, by: part) { rest = next }
    }

    /// Appends the blocks of a piece. What is handed on at once takes the place of the server's bytes in the worker's buffer: so the rest
    /// of the piece is returned, to be cut next.
    private func cut(_ payload: Span<UInt8>, by part: ServerPart) -> [UInt8]? {
        var offset = 0
        while true {
            switch part.cutter.next(in: payload, from: &offset) {
            case .more: return nil
            case .block where !part.cutter.block.isOversized:
                if let retry = part.cutter.block.retryMilliseconds { part.feed.retryMilliseconds = Int64(clamping: retry) }
                if part.recognition != nil, part.dropsBlock(of: payload, log) { continue }
                part.note(blockOf: payload)
                if terms.merges, isDuplicate(payload, of: part) { continue }
                log.append(part.cutter, of: payload, at: worker.now)
                if !isShared { for seat in seats { seat.noteBlock(byteCount: part.cutter.block.byteCount) } }
            case .block where part.recognition != nil && part.dropsBlock(of: payload, log): part.isInsideLargeBlock = false
            case .block where terms.merges && isDuplicate(payload, of: part): part.isInsideLargeBlock = false
            case .part, .block:
                if part.cutter.block.isOversized { part.note(blockOf: payload) }
                let rest = payload.extracting(offset..<payload.count).withUnsafeBufferPointer { Array($0) }
                handOnLargeBlock(of: part)
                return rest
            }
        }
    }

    /// A part of a block that is larger than the limit, or its end.
    private func handOnLargeBlock(of part: ServerPart) {
        if part.cutter.block.isOversized {
            part.isInsideLargeBlock = false
            let end = log.appendOversized(part.cutter, at: worker.now)
            for seat in seats { seat.handOn(endOfParts: end) }
            if hasWaiting { appendWaiting() }
        } else {
            let isFirst = !part.isInsideLargeBlock
            // Blocks that came in the same piece go first.
            if isFirst { serveAll() }
            part.isInsideLargeBlock = true
            // What may be a block that readers have is not handed on: it could not be taken back. If it is a new one, its gap is told.
            // Between the parts of one server's block may stand blocks of another's.
            guard part.recognition == nil, !terms.merges else { return }
            for seat in seats { seat.handOn(part: part.cutter.part, isFirst: isFirst) }
        }
    }
}
