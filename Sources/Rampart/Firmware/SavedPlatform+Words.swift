// A platform and an image of firmware by the words of a command line.

import Machine
public import SNPArchitecture
import SecureProcessor

extension SavedPlatform {
    /// The names of the products.
    static var productNames: String { Product.allCases.map(\.rawValue).joined(separator: ", ") }

    /// Makes a new platform.
    ///
    /// - Parameter version: such as "1.55.21"; nil for the emulator's usual firmware
    /// - Throws: no version
    public init(product: ProductName, chipSeed: UInt64, version: String?) throws(InputError) {
        let product = product.machineProduct
        guard let version else {
            self.init(product: product, chipSeed: chipSeed)
            return
        }
        self.init(product: product, chipSeed: chipSeed, version: try Self.version(version))
    }

    /// The product's name.
    public var productName: String { product.rawValue }
    /// The committed version, such as "1.55.21".
    public var committedVersionText: String { committedVersion.description }
    /// How the product lays out TCB versions.
    public var tcbLayout: TCBLayout { product.attestationProduct.tcbLayout }

    /// The bytes of an image of emulated firmware, signed with a TEST key.
    ///
    /// - Throws: no version
    public static func firmwareImage(
        product: ProductName, version: String, securityVersion: UInt8
    ) throws(InputError) -> [UInt8] {
        let version = try Self.version(version)
        return FirmwareImage(product: product.machineProduct, version: version, securityVersion: securityVersion)
            .signed()
    }

    private static func version(_ text: String) throws(InputError) -> FirmwareVersion {
        guard let version = FirmwareVersion(text: text) else {
            throw InputError("'\(text.prefix(40))' is no version. Write it as 1.55.21.")
        }
        return version
    }
}
