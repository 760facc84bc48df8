// What is given back of a window for received DATA (RFC 9113 section 5.2), on a client's side.
//
// All bytes are taken when they come, so no count of what the server may still send is needed: at least half of the window is always free,
// which is more than a frame, and memory does not depend on it.

/// A window for received DATA.
struct ReceiveWindow {
    private let half: Int
    private var unreturned = 0

    /// An untouched window, from 65,535 to 2^31-1 bytes.
    init(_ bytes: Int) { half = bytes / 2 }

    /// So many bytes came and were taken. In halves of the window they are given back: by the increment that is returned.
    mutating func take(_ count: Int) -> Int32? {
        unreturned += count
        guard unreturned >= half else { return nil }
        defer { unreturned = 0 }
        return Int32(unreturned)
    }
}
