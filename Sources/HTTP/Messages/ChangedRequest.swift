// A parsed request head with another target and one more field. The result is parsed like a head that came from a client, so that its
// ranges are its own and nothing is in it that a head may not hold.

extension RequestHead {
    /// The head with another target, and with one more field at its end. The head that came was within the limits of its client's
    /// connection, so the new one has limits that it fits in.
    ///
    /// - Throws: what is wrong with the target, or with the field.
    package func changed(target newTarget: [UInt8], adding field: (name: StaticString, value: [UInt8])?) throws(HTTPError) -> RequestHead {
        var head = Array(bytes[..<target.lowerBound]) + newTarget + bytes[target.upperBound...]
        if let field {
            // The empty line at the end moves behind the new field.
            head.removeLast(2)
            head += "\(field.name): ".utf8
            head += field.value
            head += "\r\n\r\n".utf8
        }
        let limits = HeadLimits(headBytes: head.count, fieldCount: fields.count + 1, targetBytes: head.count)
        return try RequestHead.parse(head.span, limits: limits)
    }
}
