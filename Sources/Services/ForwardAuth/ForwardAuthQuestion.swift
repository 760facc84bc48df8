// What a service is asked about a request, as plain data. Exchanges write it; nothing here sends it.

import Credentials

/// One question for a service.
package struct ForwardAuthQuestion: Sendable {
    /// A field that the service gets.
    package typealias Field = (name: String, value: [UInt8])

    /// The fields for the service: those that the proxy writes about the request, and those of the request that the service may see.
    package let fields: [Field]
    /// Stands for the question: two questions that differ in one byte, or go to two services, have different digests.
    package let digest: KeyedDigest

    /// A question for the service of that name; nil when libcrypto has no memory for the digest.
    package init?(_ service: String, _ fields: [Field], _ fingerprinter: Fingerprinter) {
        var text = Array("\(service)\r\n".utf8)
        // No name holds a colon and no value a line end, so no two lists of fields have the same text.
        for field in fields { text += Array(field.name.utf8) + Array(": ".utf8) + field.value + Array("\r\n".utf8) }
        guard let digest = fingerprinter.digest(ofBytes: text.span) else { return nil }
        self.fields = fields
        self.digest = digest
    }
}
