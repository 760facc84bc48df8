// OpenSSL's random bytes in the simulated world: on the world's thread they follow from the seed. Without this, a random number in
// session tickets would change their lengths between runs, and no seed with TLS could be repeated.

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
        // OpenSSL 3 marks the function as deprecated, and a deprecation is a compile error here; so it is looked up at run time.
        typealias Setter = @convention(c) (UnsafePointer<RAND_METHOD>) -> Int32
        guard let setter = dlsym(nil, "RAND_set_rand_method") else { return false }
        return unsafeBitCast(setter, to: Setter.self)(method) == 1
    }

    private static func fill(_ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) -> Int32 {
        guard let bytes else { return 0 }
        // Other tests run at the same time, and their random bytes must stay random.
        let isWorld = thread.map { pthread_equal($0, pthread_self()) != 0 } ?? false
        for index in 0..<Int(count) { bytes[index] = isWorld ? UInt8(truncatingIfNeeded: chance.next()) : UInt8.random(in: 0...255) }
        return 1
    }
}
