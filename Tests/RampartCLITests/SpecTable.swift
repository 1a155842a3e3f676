// The tables under Spec/ that say how guests end, as rows of cells, and the words that they have for endings.

import Foundation
import Rampart

/// Reads a table of tab-separated cells; lines that start with # are comments.
func specTable(_ name: String) throws -> [[String]] {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let text = try String(contentsOf: root.appendingPathComponent("Spec").appendingPathComponent(name), encoding: .utf8)
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
        line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    }
}

extension GuestEnding {
    /// As the tables have it: the guest's own status, or the kind of its end.
    var word: String {
        if case .exited(let status) = self { return "\(status)" }
        return kind.rawValue
    }

    /// Whether a cell of a table, with words between blanks, allows it.
    func isAllowed(by cell: String) -> Bool { cell.split(separator: " ").contains { $0 == word } }
}
