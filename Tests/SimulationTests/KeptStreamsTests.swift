// Kept streams in many worlds.

import Testing

@Suite("Kept streams in a simulated world", .serialized)
struct KeptStreamsTests {
    @Test("pages get each event once, in order, whatever breaks, or are told of a gap")
    func worlds() {
        runWorlds("kept streams", countedBy: "HEARTWIRE_SIMULATE_KEPT", usually: 200) { KeptStreamsWorld(seed: $0) }
    }
}
