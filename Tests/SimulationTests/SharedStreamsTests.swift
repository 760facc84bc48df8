// Shared streams in many worlds.

import Testing

@Suite("Shared streams in a simulated world", .serialized)
struct SharedStreamsTests {
    @Test("pages that read one stream each get its events once and in order, and nobody else's")
    func worlds() {
        runWorlds("shared streams", countedBy: "HEARTWIRE_SIMULATE_SHARED", usually: 120) { SharedStreamsWorld(seed: $0) }
    }
}
