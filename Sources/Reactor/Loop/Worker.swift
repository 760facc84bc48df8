// One thread's event loop: a poller, a timer wheel, a scratch buffer and the endpoints that live on it.
// Nothing in it is shared with another thread but the mailbox. It has no policy: endpoints decide.
// Invariant: a slot number together with its generation names one endpoint for ever, so a report that comes
// late for a closed descriptor reaches nobody.

/// One event loop. Made and used on one thread; other threads reach it through its `mailbox`.
public final class Worker {
    /// How many bytes one read takes at most.
    public static let scratchBytes = 65_536
    /// Free bytes in front of and behind what `linkReceived` is given: room for a framing that is written around it.
    public static let headroomBytes = 64

    /// This worker's way to the world.
    public let kernel: Kernel
    /// Its number, from 0.
    public let number: Int
    /// Monotonic milliseconds, read once a turn.
    public private(set) var now: Int64
    /// The way for other threads to get something done here.
    public let mailbox: Mailbox

    /// What lives on this worker, for jobs that come through the mailbox.
    public var resident: AnyObject?

    /// Bytes that wait on this worker: of all links for their peers to take them, and those that were counted by `countHeld`.
    public internal(set) var pendingBytes = 0

    /// Counts bytes that the owner of a link keeps until they can be used; a negative number gives them back.
    public func countHeld(_ bytes: Int) { pendingBytes += bytes }

    /// What the operator was warned of, and when.
    var warnings: [String: RepeatedWarning] = [:]
    let poller: Int32
    var wheel: TimerWheel
    let scratch: UnsafeMutableRawBufferPointer
    /// Where TLS links encrypt and decrypt; made when the first of them needs it.
    private(set) lazy var tlsBuffers = TLSBuffers()
    private let scratchBlock: UnsafeMutableRawBufferPointer
    private let events: UnsafeMutableBufferPointer<PollerEvent>
    private var endpoints: [Endpoint?] = []
    private var generations: [UInt32] = []
    private var freeSlots: [Int32] = []
    private var deferred: [Endpoint] = []
    /// Whether `run` ends with the present turn.
    private(set) var isStopping = false
    private static let mailboxToken = UInt64.max

    /// A worker on the calling thread.
    public init(number: Int, kernel: Kernel) throws(SystemError) {
        self.number = number
        self.kernel = kernel
        poller = try kernel.makePoller()
        let waker = try kernel.makeWaker()
        mailbox = Mailbox(kernel: kernel, waker: waker)
        now = kernel.monotonicMilliseconds()
        wheel = TimerWheel(nowMilliseconds: now)
        scratchBlock = .allocate(byteCount: Worker.scratchBytes + 2 * Worker.headroomBytes, alignment: 64)
        scratch = UnsafeMutableRawBufferPointer(
            rebasing: scratchBlock[Worker.headroomBytes..<(Worker.headroomBytes + Worker.scratchBytes)])
        events = .allocate(capacity: 256)
        try kernel.watch(waker, for: [.readable], token: Worker.mailboxToken, poller: poller)
    }

    deinit {
        scratchBlock.deallocate()
        events.deallocate()
        kernel.close(poller, abortively: false)
    }

    /// How many descriptors are watched. For tests.
    public var endpointCount: Int { endpoints.count - freeSlots.count }

    /// Turns until `stop` is called.
    public func run() {
        while !isStopping { turn() }
    }

    /// Ends `run` after the present turn.
    public func stop() { isStopping = true }

    /// One turn: waits for events or the next deadline, then serves events, mailbox, deadlines and what was put off.
    public func turn() {
        let untilNext = wheel.millisecondsUntilNext(nowMilliseconds: now).map { Int32(min($0, 60_000)) } ?? -1
        let count = kernel.wait(poller: poller, into: events, milliseconds: deferred.isEmpty ? untilNext : 0)
        now = kernel.monotonicMilliseconds()
        for index in 0..<count {
            let event = events[index]
            if event.token == Worker.mailboxToken {
                for job in mailbox.take() { job(self) }
            } else if let endpoint = endpoint(of: event.token) {
                endpoint.ready(event.readiness)
            }
        }
        while let slot = wheel.nextDue(nowMilliseconds: now) { endpoints[slot]?.deadlineReached() }
        endTurn()
    }

    private func endTurn() {
        // One batch: what is put off meanwhile comes after the others' events, so that nobody can keep a turn from ending.
        guard !deferred.isEmpty else { return }
        let batch = deferred
        deferred.removeAll(keepingCapacity: true)
        for endpoint in batch {
            endpoint.isDeferred = false
            endpoint.turnEnded()
        }
    }

    /// Calls the endpoint's `turnEnded` when everything else of this turn is done; once, however often it is asked for.
    public func atEndOfTurn(_ endpoint: Endpoint) {
        guard !endpoint.isDeferred else { return }
        endpoint.isDeferred = true
        deferred.append(endpoint)
    }

    /// Copies bytes into the scratch buffer, with its headroom around them; for what is sent while nothing received waits there.
    public func copyToScratch(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        let room = UnsafeMutableRawBufferPointer(rebasing: scratch[..<bytes.count])
        room.copyMemory(from: bytes)
        return room
    }

    /// The open endpoints, for a shutdown's walk.
    public var openEndpoints: [Endpoint] { endpoints.compactMap { $0 } }

    // MARK: Slots

    func takeSlot(for endpoint: Endpoint) -> Int32 {
        if let slot = freeSlots.popLast() {
            endpoints[Int(slot)] = endpoint
            return slot
        }
        endpoints.append(endpoint)
        generations.append(0)
        wheel.reserve(slot: endpoints.count - 1)
        return Int32(endpoints.count - 1)
    }

    func giveBack(_ slot: Int32) {
        wheel.disarm(slot: Int(slot))
        endpoints[Int(slot)] = nil
        generations[Int(slot)] &+= 1
        freeSlots.append(slot)
    }

    /// Another endpoint takes the place of the one in a slot: reports and deadlines go to it from now on.
    func replaceEndpoint(in slot: Int32, by successor: Endpoint) { endpoints[Int(slot)] = successor }

    func token(of slot: Int32) -> UInt64 { UInt64(generations[Int(slot)]) << 32 | UInt64(UInt32(bitPattern: slot)) }

    func endpoint(of token: UInt64) -> Endpoint? {
        let slot = Int(UInt32(truncatingIfNeeded: token))
        guard slot < endpoints.count, generations[slot] == UInt32(truncatingIfNeeded: token >> 32) else { return nil }
        return endpoints[slot]
    }
}
