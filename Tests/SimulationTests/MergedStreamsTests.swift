// Merged streams in many worlds.

import Testing

@Suite("Merged streams in a simulated world", .serialized)
struct MergedStreamsTests {
    @Test("pages get each event of each pod once, in the pod's order, whatever breaks, or are told of a gap")
    func worlds() {
        runWorlds("merged streams", countedBy: "HEARTWIRE_SIMULATE_MERGED", usually: 100) { MergedStreamsWorld(seed: $0) }
    }
}
