// The checks of an ID block and its signatures.

internal import Crypto
internal import SNPArchitecture

/// The checks that SNP_LAUNCH_FINISH makes of an ID block.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_FINISH; ID_BLOCK, ID_AUTH_INFO
/// - Deviates: none; as firmware 1.55 it checks neither the block's version nor the reserved areas
enum IDBlockCheck {
    /// Checks a block; returns the digests of the two keys, zeros where there is no author.
    ///
    /// - Throws: in check order: BAD_MEASUREMENT (launch digest), POLICY_FAILURE, INVALID_PARAM (algorithms),
    ///   BAD_SIGNATURE (ID key, block's signature, author key, ID key's signature)
    static func check(
        _ idBlock: IDBlock, _ authentication: IDAuthentication, authorIsEnabled: Bool, launchDigest: [UInt8],
        policy: GuestPolicy
    ) throws(FirmwareStatus) -> (idKey: [UInt8], authorKey: [UInt8]) {
        let algorithm = IDAuthentication.ecdsaP384
        let idKeyBytes = authentication.idKey.encoded
        guard idBlock.launchDigest == launchDigest else { throw .badMeasurement }
        guard idBlock.policy == policy else { throw .policyFailure }
        guard authentication.idKeyAlgorithm == algorithm else { throw .invalidParam }
        guard !authorIsEnabled || authentication.authorKeyAlgorithm == algorithm else { throw .invalidParam }
        guard let idKey = publicKey(authentication.idKey) else { throw .badSignature }
        guard isValid(authentication.idBlockSignature, of: idKey, over: idBlock.encoded) else { throw .badSignature }
        let idKeyDigest = Array(SHA384.hash(data: idKeyBytes))
        guard authorIsEnabled else { return (idKeyDigest, [UInt8](repeating: 0, count: 48)) }
        guard let author = publicKey(authentication.authorKey) else { throw .badSignature }
        guard isValid(authentication.idKeySignature, of: author, over: idKeyBytes) else { throw .badSignature }
        return (idKeyDigest, Array(SHA384.hash(data: authentication.authorKey.encoded)))
    }

    /// The key, or nil if it is not a point of P-384.
    private static func publicKey(_ key: FirmwarePublicKey) -> P384.Signing.PublicKey? {
        guard key.curve == FirmwarePublicKey.curveP384 else { return nil }
        guard let x = bigEndian(key.x), let y = bigEndian(key.y) else { return nil }
        return try? P384.Signing.PublicKey(rawRepresentation: x + y)
    }

    private static func isValid(
        _ signature: FirmwareSignature, of key: P384.Signing.PublicKey, over bytes: [UInt8]
    ) -> Bool {
        guard let r = bigEndian(signature.r), let s = bigEndian(signature.s) else { return false }
        guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: r + s) else { return false }
        return key.isValidSignature(signature, for: SHA384.hash(data: bytes))
    }

    /// 48 big-endian bytes of a little-endian number of 72; nil if it does not fit.
    private static func bigEndian(_ number: [UInt8]) -> [UInt8]? {
        guard number.count == 72, number[48...].allSatisfy({ $0 == 0 }) else { return nil }
        return number[..<48].reversed()
    }
}
