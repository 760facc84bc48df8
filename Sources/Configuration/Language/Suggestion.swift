// Finds the known word that an unknown one was probably meant to be.

import Bytes

/// The nearest of the known words, if it is near enough for a typing error; the first of several.
func nearestWord(to word: String, in known: [String]) -> String? {
    let written = Array(word.utf8)
    guard written.count <= 64 else { return nil }
    var best: (word: String, distance: Int)?
    for candidate in known {
        let distance = editDistance(written.map(lowercased), Array(candidate.utf8))
        let allowed = max(1, min(3, candidate.utf8.count / 3))
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.word
}

/// `; did you mean 'x'?` for the nearest known word, or nothing.
func suggestion(for word: String, in known: [String]) -> String {
    nearestWord(to: word, in: known).map { "; did you mean '\($0)'?" } ?? ""
}

/// How many bytes must be inserted, removed, replaced or swapped with their neighbour to make one word the
/// other (the distance of Damerau and Levenshtein, in its restricted form).
func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    var current = last
    for row in 1...left.count {
        current[0] = row
        for column in 1...right.count {
            let isSame = left[row - 1] == right[column - 1]
            var cost = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (isSame ? 0 : 1))
            if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                cost = min(cost, beforeLast[column - 2] + 1)
            }
            current[column] = cost
        }
        beforeLast = last
        last = current
    }
    return last[right.count]
}
