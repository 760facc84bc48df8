// One thread's event loop: a poller, a timer wheel, a scratch buffer and its endpoints. Only the mailbox is shared with other threads.
// The worker has no policy: endpoints decide. Invariant: a slot number and its generation name one endpoint and never another, so a
// late report for a closed descriptor reaches nobody.

/// One event loop. Made and used on one thread; other threads use its `mailbox`.
public final class Worker {
    /// How many bytes one read takes at most.
    public static let scratchBytes = 65_536
    /// Free bytes in front of and behind the bytes given to `linkReceived`: room to write framing around them.
    public static let headroomBytes = 64

    /// This worker's access to the system.
    public let kernel: Kernel
    /// Its number, from 0.
    public let number: Int
    /// Monotonic milliseconds, read once a turn.
    public private(set) var now: Int64
    /// Milliseconds since 1970 by the wall clock, read at most once a turn.
    public var unixNow: Int64 {
        if let unixMilliseconds { return unixMilliseconds }
        let read = kernel.unixMilliseconds()
        unixMilliseconds = read
        return read
    }
    /// The wall clock as it was read in this turn; nil before that.
    private var unixMilliseconds: Int64?
    /// Other threads send jobs to this worker through it.
    public let mailbox: Mailbox

    /// The object for which jobs from the mailbox are meant.
    public var resident: AnyObject?

    /// Bytes that wait on this worker: in all links for their peers, and those counted by `countHeld`.
    public internal(set) var pendingBytes = 0

    /// Counts bytes that a link's owner keeps for later; a negative number subtracts them.
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
    /// Those whose `turnEnded` is being called; empty otherwise. It keeps its memory, so that a turn allocates nothing.
    private var batch: [Endpoint] = []
    /// Whether `run` ends after the current turn.
    private(set) var isStopping = false
    /// Whether an endpoint gathers what it will write at the end of this turn.
    private var isGathering = false
    private static let mailboxToken = UInt64.max
    /// How often a turn looks for more events while an endpoint gathers. With few events in each look, the first of them waits for less
    /// than a millisecond.
    private static let gatheringLooks = 32

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

    /// Runs turns until `stop` is called.
    public func run() {
        while !isStopping { turn() }
    }

    /// Ends `run` after the current turn.
    public func stop() { isStopping = true }

    /// One turn: waits for events or the next deadline, then handles events, mailbox, deadlines and deferred calls.
    public func turn() {
        let untilNext = wheel.millisecondsUntilNext(nowMilliseconds: now).map { Int32(min($0, 60_000)) } ?? -1
        let count = kernel.wait(poller: poller, into: events, milliseconds: deferred.isEmpty ? untilNext : 0)
        now = kernel.monotonicMilliseconds()
        unixMilliseconds = nil
        handle(count)
        if isGathering { gatherMore(handled: count) }
        while let slot = wheel.nextDue(nowMilliseconds: now) { endpoints[slot]?.deadlineReached() }
        endTurn()
    }

    /// Handles what has come meanwhile, so that it leaves in the same write. A look costs a small part of a write.
    private func gatherMore(handled: Int) {
        var handled = handled
        for _ in 0..<Worker.gatheringLooks where handled < events.count {
            let count = kernel.wait(poller: poller, into: events, milliseconds: 0)
            guard count > 0 else { return }
            handle(count)
            handled += count
        }
    }

    private func handle(_ count: Int) {
        for index in 0..<count {
            let event = events[index]
            if event.token == Worker.mailboxToken {
                for job in mailbox.take() { job(self) }
            } else if let endpoint = endpoint(of: event.token) {
                endpoint.ready(event.readiness)
            }
        }
    }

    private func endTurn() {
        isGathering = false
        // Only one batch: what is deferred meanwhile comes after the next events, so no endpoint can keep a turn from ending.
        guard !deferred.isEmpty else { return }
        swap(&batch, &deferred)
        for endpoint in batch {
            endpoint.isDeferred = false
            endpoint.turnEnded()
        }
        batch.removeAll(keepingCapacity: true)
    }

    /// Calls the endpoint's `turnEnded` after everything else of this turn, once, however often it was requested.
    public func atEndOfTurn(_ endpoint: Endpoint) {
        guard !endpoint.isDeferred else { return }
        endpoint.isDeferred = true
        deferred.append(endpoint)
    }

    /// The same for an endpoint that gathers what it writes: the turn takes in events that come while others are handled.
    public func gatherUntilEndOfTurn(_ endpoint: Endpoint) {
        isGathering = true
        atEndOfTurn(endpoint)
    }

    /// Copies bytes into the scratch buffer, with its headroom around them. Only while it holds no received bytes.
    /// - Parameter bytes: at most `scratchBytes`.
    public func copyToScratch(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        precondition(bytes.count <= Worker.scratchBytes, "more bytes than the scratch buffer holds")
        let room = UnsafeMutableRawBufferPointer(rebasing: scratch[..<bytes.count])
        room.copyMemory(from: bytes)
        return room
    }

    /// Visits the open endpoints among the slots from that place on, at most so many slots. Returns the place to go on from; nil at the
    /// end.
    public func visitEndpoints(from place: Int, atMost count: Int, _ body: (Endpoint) -> Void) -> Int? {
        let end = min(endpoints.count, place + count)
        guard place < end else { return nil }
        for index in place..<end { if let endpoint = endpoints[index] { body(endpoint) } }
        return end < endpoints.count ? end : nil
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
