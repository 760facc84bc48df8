// Chance in tests: all of it follows from a seed, which is printed and taken back from HEARTWIRE_SEED.

import Glibc

/// SplitMix64: the same numbers from the same seed on every machine. It is inlined into the simulated world, which is optimised.
package struct SeededGenerator: RandomNumberGenerator {
    @usableFromInline package var state: UInt64

    /// A generator whose whole course follows from `seed`.
    @inlinable package init(seed: UInt64) { state = seed }

    /// A generator for a property test; its seed is printed.
    package init(_ test: StaticString) { self.init(seed: SeededGenerator.seed(of: test)) }

    /// The seed of a property test, from HEARTWIRE_SEED or a new one. It is printed, so that a failure can be repeated.
    package static func seed(of test: StaticString) -> UInt64 {
        let given = getenv("HEARTWIRE_SEED").flatMap { UInt64(String(cString: $0)) }
        let seed = given ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): HEARTWIRE_SEED=\(seed)")
        return seed
    }

    @inlinable package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; the slight bias does not matter here.
    @inlinable package mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }

    /// A number in the range.
    @inlinable package mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// True in one of so many cases.
    @inlinable package mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// True in so many of a thousand cases.
    @inlinable package mutating func permille(_ share: Int) -> Bool { below(1000) < share }

    /// One of the elements, of which there has to be one.
    @inlinable package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
