// What a route wants of a token that is good: scopes, values of claims, and the claims that its server is told as fields.

import Bytes

/// A route's rules for the claims of its tokens.
package struct ClaimRules: Sendable, Equatable {
    /// A claim that must have one of these values.
    package struct Requirement: Sendable, Equatable {
        /// The claim's name.
        package var claim: String
        /// Its values; one is enough.
        package var values: [String]

        /// A requirement.
        package init(claim: String, values: [String]) {
            self.claim = claim
            self.values = values
        }
    }

    /// A field for the server, with the value of a claim.
    package struct Field: Sendable, Equatable {
        /// The field's name.
        package var name: String
        /// The claim's name.
        package var claim: String

        /// A field.
        package init(name: String, claim: String) {
            self.name = name
            self.claim = claim
        }
    }

    /// The longest value of a field, in bytes.
    private static let fieldBytes = 4_096

    /// The scopes that a token must have, all of them.
    package var scopes: [String] = []
    /// The claims that must have certain values, all of them.
    package var requirements: [Requirement] = []
    /// The fields that the server gets.
    package var fields: [Field] = []

    /// No rules.
    package init() {}

    /// What the token lacks; nil for nothing.
    package func fault(of token: VerifiedToken) -> TokenFault? {
        if !scopes.isEmpty {
            let found = ClaimRules.scopes(of: token.claims)
            guard scopes.allSatisfy({ found.contains(Array($0.utf8)) }) else { return .scope }
        }
        let isMet = requirements.allSatisfy { requirement in
            guard let claim = ClaimRules.claim(requirement.claim, of: token.claims) else { return false }
            let values = (claim.elements ?? [claim]).compactMap(ClaimRules.text)
            return requirement.values.contains { values.contains(Array($0.utf8)) }
        }
        return isMet ? nil : .claim
    }

    /// The fields for the server, without those whose claim the token does not have.
    /// - Throws: `claims` where a value cannot stand in a field as it is.
    package func values(of token: VerifiedToken) throws(TokenFault) -> [(name: String, value: [UInt8])] {
        var values: [(name: String, value: [UInt8])] = []
        for field in fields {
            guard let claim = ClaimRules.claim(field.claim, of: token.claims), claim.kind != .null else { continue }
            let value = claim.string ?? Array(claim.written)
            let isUsable = value.count <= ClaimRules.fieldBytes && !ControlCharacters.areHeld(by: value)
            // A reader of the field drops blanks at its ends, and so would take one name for another.
            guard isUsable, value.first != space, value.last != space else { throw .claims }
            values.append((field.name, value))
        }
        return values
    }

    /// A claim by its whole name, or else by the names of the objects around it with dots between them.
    private static func claim(_ name: String, of claims: JSONObject) -> JSONValue? {
        if let claim = claims[Array(name.utf8)] { return claim }
        let names = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
        guard names.count > 1 else { return nil }
        var found = claims[names[0]]
        for name in names.dropFirst() { found = found?.object?[name] }
        return found
    }

    /// What a claim is compared by: a string's characters, the JSON text of a number or a truth value.
    private static func text(of claim: JSONValue) -> [UInt8]? {
        switch claim.kind {
        case .string: claim.string
        case .number, .boolean: Array(claim.written)
        case .object, .array, .null: nil
        }
    }

    /// The scopes of `scope`, or of `scp` where there is none: one string with single blanks (RFC 8693 section 4.2), or an array.
    private static func scopes(of claims: JSONObject) -> [[UInt8]] {
        guard let claim = claims["scope"] ?? claims["scp"] else { return [] }
        if let text = claim.string { return text.split(separator: space, omittingEmptySubsequences: false).map(Array.init) }
        return claim.strings ?? []
    }
}
