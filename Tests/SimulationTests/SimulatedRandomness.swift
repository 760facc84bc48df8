// OpenSSL's random bytes in the simulated world: they follow from the seed, on the thread that the world runs on. Without that the
// lengths of session tickets would differ from one run to the next by what a random number in them takes, and no seed with
// TLS would replay.

import COpenSSL
import Glibc
import TestSupport

enum SimulatedRandomness {
    nonisolated(unsafe) private static var chance = Chance(seed: 0)
    nonisolated(unsafe) private static var thread: pthread_t?
    nonisolated(unsafe) private static let method = UnsafeMutablePointer<RAND_METHOD>.allocate(capacity: 1)
    private static let isInstalled: Bool = install()

    /// From now on this thread's random bytes follow from the seed.
    static func begin(seed: UInt64) {
        precondition(isInstalled)
        chance = Chance(seed: seed)
        thread = pthread_self()
    }

    private static func install() -> Bool {
        method.initialize(
            to: RAND_METHOD(
                seed: { _, _ in 1 }, bytes: { SimulatedRandomness.fill($0, $1) }, cleanup: {}, add: { _, _, _ in 1 },
                pseudorand: { SimulatedRandomness.fill($0, $1) }, status: { 1 }))
        // OpenSSL 3 calls it deprecated, which the house's compiler takes for an error; so it is looked up.
        typealias Setter = @convention(c) (UnsafePointer<RAND_METHOD>) -> Int32
        guard let setter = dlsym(nil, "RAND_set_rand_method") else { return false }
        return unsafeBitCast(setter, to: Setter.self)(method) == 1
    }

    private static func fill(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> Int32 {
        guard let bytes else { return 0 }
        // Others test at the same time, and their secrets are nobody's to foresee.
        let isWorld = thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false
        for index in 0..<Int(count) { bytes[index] = isWorld ? UInt8(truncatingIfNeeded: chance.next()) : UInt8.random(in: 0...255) }
        return 1
    }
}
