// A queue whose elements are found by their place: appended at the end, dropped at the beginning.

/// An element of a ring.
protocol RingElement {
    /// What stands in places that are not used.
    static var filler: Self { get }
}

/// A circular buffer that grows by doubling. Without elements it owns no memory.
struct Ring<Element: RingElement> {
    private var storage: [Element] = []
    // Each log has two rings, so these have 32 bits.
    private var head: UInt32 = 0
    private var used: UInt32 = 0

    /// How many elements there are; at most 2^31.
    var count: Int { @inline(__always) get { Int(used) } }

    var isEmpty: Bool { count == 0 }

    /// How many elements fit without more memory.
    var capacity: Int { storage.count }

    /// The element at this place, counted from the first.
    subscript(place: Int) -> Element {
        @inline(__always) get { storage[(Int(head) &+ place) & (storage.count &- 1)] }
        @inline(__always) set { storage[(Int(head) &+ place) & (storage.count &- 1)] = newValue }
    }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == storage.count { grow() }
        used &+= 1
        self[count &- 1] = element
    }

    private mutating func grow() {
        var larger: [Element] = []
        larger.reserveCapacity(max(4, 2 * count))
        for place in 0..<count { larger.append(self[place]) }
        for _ in count..<max(4, 2 * count) { larger.append(.filler) }
        storage = larger
        head = 0
    }

    @discardableResult
    mutating func removeFirst() -> Element {
        let first = self[0]
        self[0] = .filler
        head = (head &+ 1) & UInt32(truncatingIfNeeded: storage.count &- 1)
        used &-= 1
        if count == 0 {
            storage = []
            head = 0
        }
        return first
    }
}
