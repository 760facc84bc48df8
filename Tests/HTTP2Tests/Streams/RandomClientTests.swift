// A random honest client on one connection, and random garbage on others. The honest client keeps a model of both sides' windows and
// streams, and every event has to be the one that the model expects.

import HTTP2
import TestSupport
import Testing

/// A client that keeps to every rule, and knows what the server has to say.
private final class HonestClient {
    private struct Request {
        var window: Int
        var remoteEnded = false
        var localEnded = false
        var untaken = 0
        /// What the server may send.
        var room: Int
    }

    private var chance: SeededGenerator
    private let harness: Harness
    private var requests: [UInt32: Request] = [:]
    private var nextNumber: UInt32 = 1
    private var window: Int
    private var room = 65_535
    private var initialRoom = 65_535
    private var expected: [String] = []
    /// What went wrong, if anything did.
    private(set) var problem: String?

    init(seed: UInt64, limits: SessionLimits) {
        chance = SeededGenerator(seed: seed)
        harness = Harness(limits, releases: false)
        window = limits.connectionWindowBytes
        send(Wire.start)
    }

    private func note(_ text: String) { if problem == nil { problem = text } }

    /// Gives the session the bytes in random pieces, and compares what it said.
    private func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = chance.oneIn(3) ? chance.number(1...rest.count) : rest.count
            if !harness.receive(Array(rest.prefix(count))) { return note("ended: \(harness.outcome.events.last!)") }
            rest = rest.dropFirst(count)
        }
        let said = harness.outcome.events.map { String($0.prefix { $0 != "[" }) }
        if said != expected { note("said \(said.map { $0.prefix(40) }), expected \(expected.map { $0.prefix(40) })") }
        harness.outcome.events = []
        expected = []
    }

    /// Reads the control frames of the server.
    private func readControl() {
        for frame in Wire.words(harness.session.takeControl()) {
            let words = frame.split(separator: " ")
            switch words[0] {
            case "SETTINGS", "PING": break
            case "WINDOW_UPDATE" where words.count == 2: window += Int(words[1].dropFirst())!
            case "WINDOW_UPDATE": requests[UInt32(words[1])!]?.window += Int(words[2].dropFirst())!
            case "RST_STREAM" where words[2] == "NO_ERROR" || words[2] == "INTERNAL_ERROR": requests[UInt32(words[1])!] = nil
            default: note("the server said \(frame)")
            }
        }
    }

    func step() {
        harness.now += Int64(chance.number(0...40))
        readControl()
        let number = requests.keys.sorted().randomElement(using: &chance)
        switch chance.below(12) {
        case 0, 1: open()
        case 2, 3: if let number { sendBody(number) }
        case 4: if let number { cancel(number) }
        case 5: send(chance.oneIn(2) ? Wire.ping() : Wire.priority(nextNumber + 8))
        case 6: if let number { openWindow(number) }
        case 7: changeWindow()
        case 8, 9: if let number { serve(number) }
        case 10: if let number { take(number) }
        default: if let number, requests[number]!.localEnded || chance.oneIn(20) { release(number) }
        }
        check()
    }

    private func open() {
        // The session counts exchanges, and a client that kept to MAX_CONCURRENT_STREAMS would count streams: here both are the same.
        guard requests.count < 16 else { return }
        let number = nextNumber + UInt32(chance.below(3)) * 2
        nextNumber = number + 2
        let ends = chance.oneIn(2)
        requests[number] = Request(window: 65_535, remoteEnded: ends, room: initialRoom)
        expected = ["request \(number) "]
        let block = ends ? Wire.get : Wire.post
        let cut = chance.number(0...block.count)
        send(
            chance.oneIn(2)
                ? Wire.headers(number, block, ends: ends)
                : Wire.frame(1, flags: ends ? 1 : 0, stream: number, Array(block[..<cut]))
                    + Wire.frame(9, flags: 4, stream: number, Array(block[cut...])))
    }

    private func sendBody(_ number: UInt32) {
        guard !requests[number]!.remoteEnded else { return }
        let ends = chance.oneIn(8)
        if ends, chance.oneIn(3) {
            requests[number]!.remoteEnded = true
            expected = ["trailers \(number) 1"]
            return send(Wire.headers(number, Wire.trailer))
        }
        let padding = chance.oneIn(3) ? chance.number(0...255) : nil
        let overhead = padding.map { $0 + 1 } ?? 0
        let most = min(requests[number]!.window, window, 16_384) - overhead
        guard most > 0 else { return }
        let body = [UInt8](repeating: UInt8(chance.number(0x61...0x7A)), count: chance.oneIn(2) ? most : chance.number(1...min(most, 50)))
        requests[number]!.window -= body.count + overhead
        window -= body.count + overhead
        requests[number]!.untaken += body.count
        if ends { requests[number]!.remoteEnded = true }
        expected = ["data \(number) \(String(decoding: body, as: UTF8.self))\(ends ? " end" : "")"]
        send(padding.map { Wire.padded(number, body, $0, ends: ends) } ?? Wire.data(number, body, ends: ends))
        if requests[number]!.remoteEnded, requests[number]!.localEnded { requests[number]!.untaken = 0 }
    }

    private func cancel(_ number: UInt32) {
        if !(requests[number]!.localEnded && requests[number]!.remoteEnded) { expected = ["reset \(number) CANCEL"] }
        send(Wire.reset(number) + (chance.oneIn(2) ? Wire.windowUpdate(number, 1) : []))
        harness.session.release(harness.slots.removeValue(forKey: number)!)
        requests[number] = nil
    }

    private func openWindow(_ number: UInt32) {
        let increment = chance.number(1...100_000)
        guard requests[number]!.room + increment < 1 << 31, room + increment < 1 << 31 else { return }
        let isOpen = !requests[number]!.localEnded
        requests[number]!.room += increment
        room += increment
        expected = (isOpen ? ["window \(number)"] : []) + ["window all"]
        send(Wire.windowUpdate(number, UInt32(increment)) + Wire.windowUpdate(0, UInt32(increment)))
    }

    private func changeWindow() {
        let size = chance.number(0...200_000)
        let isOpen = requests.values.contains { !($0.localEnded && $0.remoteEnded) }
        if size > initialRoom, isOpen { expected = ["window all"] }
        for number in requests.keys { requests[number]!.room += size - initialRoom }
        initialRoom = size
        send(Wire.settings([(4, UInt32(size))]))
    }

    private func serve(_ number: UInt32) {
        guard !requests[number]!.localEnded else { return }
        let slot = harness.slot(number)
        if chance.oneIn(4) { harness.answer(number) }
        let count = min(harness.session.room(of: slot), chance.number(0...20_000))
        let ends = chance.oneIn(10)
        guard count > 0 || ends else { return }
        if ends || chance.oneIn(2) {
            harness.session.takeRoom(count, of: slot, isLast: ends)
        } else {
            #expect(harness.session.claimRoom(count, of: slot, mostInFlight: .max) == (count <= 16_384 ? number : nil))
            if count > 16_384 { return }
        }
        requests[number]!.room -= count
        room -= count
        requests[number]!.localEnded = ends
        if ends, requests[number]!.remoteEnded { requests[number]!.untaken = 0 }
    }

    private func take(_ number: UInt32) {
        let count = chance.number(0...requests[number]!.untaken)
        harness.session.consumed(count, of: harness.slot(number))
        requests[number]!.untaken -= count
    }

    private func release(_ number: UInt32) {
        let isWhole = requests[number]!.localEnded && requests[number]!.remoteEnded
        harness.session.release(harness.slots.removeValue(forKey: number)!)
        readControl()
        if isWhole { requests[number] = nil } else if requests[number] != nil { note("no reset was queued") }
    }

    private func check() {
        for (number, request) in requests where !request.localEnded {
            let slot = harness.slot(number)
            if harness.session.streamRoom(of: slot) != max(request.room, 0) { note("another window than \(request.room)") }
            if harness.session.number(of: slot) != number { note("a slot of another stream") }
        }
        if harness.session.connectionRoom != max(room, 0) { note("another window of the connection than \(room)") }
        let open = requests.values.count { !($0.localEnded && $0.remoteEnded) }
        if harness.session.openCount != open { note("\(harness.session.openCount) streams are open instead of \(open)") }
        if window < 0 || requests.values.contains(where: { $0.window < 0 }) { note("a window below zero") }
    }

    /// When every body was taken, both windows are at least half open.
    func finish() {
        for number in requests.keys.sorted() {
            harness.session.consumed(requests[number]!.untaken, of: harness.slot(number))
            requests[number]!.untaken = 0
        }
        readControl()
        for request in requests.values where !request.remoteEnded && request.window <= 65_535 / 2 { note("a stream starves: \(request)") }
        if window <= SessionLimits().connectionWindowBytes / 2 { note("the connection starves: \(window)") }
    }
}

@Suite("Random clients of HTTP/2")
struct RandomClientTests {
    @Test(
        "an honest client that does anything in any order gets exactly the events that it caused, and every window is what both sides count"
    )
    func honest() {
        var chance = SeededGenerator("an honest client")
        for _ in 0..<60 {
            let seed = chance.next()
            let client = HonestClient(seed: seed, limits: SessionLimits())
            for _ in 0..<400 where client.problem == nil { client.step() }
            client.finish()
            #expect(client.problem == nil, "seed \(seed)")
            if client.problem != nil { return }
        }
    }

    /// Frames at random: mostly possible ones, on few streams, with lengths that are sometimes wrong.
    private func garbage(_ chance: inout SeededGenerator) -> [UInt8] {
        let number = UInt32(chance.number(0...12))
        let type = UInt8(chance.oneIn(10) ? chance.number(0...255) : chance.number(0...9))
        let flags = UInt8(chance.oneIn(3) ? chance.number(0...255) : chance.pick([0, 1, 4, 5, 8, 0x2D]))
        let payload: [UInt8] =
            switch chance.below(6) {
            case 0: Wire.get
            case 1: Wire.number(UInt32(truncatingIfNeeded: chance.next()))
            case 2: [UInt8](repeating: UInt8(chance.below(20)), count: chance.number(0...40))
            case 3: [0, UInt8(chance.below(10))] + Wire.number(UInt32(chance.below(100_000)))
            case 4: Array("12345678".utf8)
            default: (0..<chance.number(0...12)).map { _ in UInt8(chance.below(256)) }
            }
        return Wire.frame(type, flags: flags, stream: number, payload, length: chance.oneIn(60) ? chance.number(0...20_000) : nil)
    }

    @Test("garbage stops nothing, says the same at every split, keeps every bound, and an honest client beside goes on")
    func garbageEverywhere() {
        var chance = SeededGenerator("garbage on a connection")
        let client = HonestClient(seed: chance.next(), limits: SessionLimits())
        for _ in 0..<1_000 {
            client.step()
            var bytes = chance.oneIn(20) ? [] : Wire.start + (chance.oneIn(2) ? Wire.headers(1, Wire.post, ends: false) : [])
            for _ in 0..<chance.number(1...12) { bytes += garbage(&chance) }
            let whole = Harness()
            whole.receive(bytes)
            let pieces = Harness()
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = chance.number(1...min(rest.count, 30))
                if !pieces.receive(Array(rest.prefix(count))) { break }
                rest = rest.dropFirst(count)
            }
            #expect(whole.finish() == pieces.finish())
            #expect(whole.outcome.control.count < 100)
        }
        client.finish()
        #expect(client.problem == nil)
    }
}
