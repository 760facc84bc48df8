// Events that are published into a kept stream: they stand between two blocks of its server, and like those in its history.

import EventStream
import Reactor

extension KeptStream {
    /// So many published events wait at most for the end of a block.
    private static let mostWaiting = 16

    /// Published events that wait for the end of a block that is handed on in parts.
    var waiting: [OwnEvent] {
        get { rarities?.waiting ?? [] }
        set { neededRarities.waiting = newValue }
    }

    /// Whether there are any.
    var hasWaiting: Bool { !(rarities?.waiting.isEmpty ?? true) }

    /// An event is published.
    /// - Returns: how many clients read it here; nil where the stream is not meant, or cannot take it.
    func publish(_ publication: Publication) -> Int? {
        // While a client of its own takes nothing, the server is not read, and nobody else fills the log either.
        guard publication.isMeant(for: place, on: terms.routeName), !isRefused, !isPaused else { return nil }
        // Between its parts, an event would end the block.
        guard !isHandingOnParts else {
            guard waiting.count < Self.mostWaiting else { return nil }
            waiting.append(publication.event)
            return seats.count
        }
        append(publication.event)
        if !isBeginning { serveAll() }
        trim()
        pauseIfUnread()
        return seats.count
    }

    /// The block is over that published events have waited for.
    func appendWaiting() {
        guard !isHandingOnParts else { return }
        for event in waiting { append(event) }
        waiting = []
    }

    private func append(_ event: OwnEvent) {
        log.append(event, at: worker.now)
        if !isShared { for seat in seats { seat.noteBlock(byteCount: event.byteCount) } }
    }
}
