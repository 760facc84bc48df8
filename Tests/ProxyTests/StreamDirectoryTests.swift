// Which streams of a key are asked, and in which order, when a client brings a server's id.

import Credentials
import EventStream
import Reactor
import Telemetry
import TestSupport
import Testing

@testable import Exchanges

@Suite("The directory of kept streams")
struct StreamDirectoryTests {
    private let directory = StreamDirectory()
    private let worker: Worker
    private let key: StreamKey

    init() throws {
        worker = try Worker(number: 0, kernel: ScriptedKernel())
        key = try #require(StreamKey(StreamKeyParts(), under: Fingerprinter(key: [1])))
    }

    private func add(_ number: UInt64, isRead: Bool) {
        directory.add(StreamHome(epoch: Epoch(truncating: number), worker: 0, mailbox: worker.mailbox), of: key)
        if !isRead { directory.note(isRead: false, Epoch(truncating: number), of: key) }
    }

    private var order: [Epoch] { directory.homes(of: key).map(\.epoch) }

    @Test("names those without a reader first, of both the newest first, and the one of an epoch alone")
    func orders() {
        for number in 1...6 as ClosedRange<UInt64> { add(number, isRead: number % 2 == 0) }
        #expect(order == [5, 3, 1, 6, 4, 2].map { Epoch(truncating: $0) })
        directory.note(isRead: true, Epoch(truncating: 5), of: key)
        #expect(order == [3, 1, 6, 5, 4, 2].map { Epoch(truncating: $0) })
        #expect(directory.homes(of: key, Epoch(truncating: 4)).map(\.epoch) == [Epoch(truncating: 4)])
        // An id of an unknown epoch may be a server's that is a proxy of this kind.
        #expect(directory.homes(of: key, Epoch(truncating: 7)).map(\.epoch) == order)
    }

    @Test("does not name one that is still to be opened, and gives it to those who share")
    func opening() {
        let home = StreamHome(epoch: Epoch(truncating: 1), worker: 0, mailbox: worker.mailbox)
        #expect(directory.claim(home, of: key) == nil && order.isEmpty)
        #expect(directory.claim(home, of: key)?.epoch == home.epoch)
        directory.opened(home.epoch, of: key)
        #expect(order == [home.epoch])
    }

    @Test("names so few of them that an id which is nonsense costs little, however many there are")
    func bound() {
        for number in 1...1_000 as ClosedRange<UInt64> { add(number, isRead: number % 2 == 0) }
        #expect(order.count == 64 && order.first == Epoch(truncating: 999) && order[32] == Epoch(truncating: 1_000))
        #expect(directory.homes(of: key, Epoch(truncating: 1)).count == 1)
    }
}
