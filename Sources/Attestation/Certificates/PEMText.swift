// Any bytes as a PEM block, good or bad: what is in it is for its reader to judge.

internal import SwiftASN1

/// The bytes as a PEM block with a line break at its end.
public func pemText(_ der: [UInt8], label: String) -> String {
    PEMDocument(type: label, derBytes: der).pemString + "\n"
}
