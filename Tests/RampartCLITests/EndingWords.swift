// The words that tables under Spec/ have for how guests end.

import Rampart

extension GuestEnding {
    /// As the tables have it: the guest's own status, or the kind of its end.
    var word: String {
        if case .exited(let status) = self { return "\(status)" }
        return kind.rawValue
    }

    /// Whether a cell of a table, with words between blanks, allows it.
    func isAllowed(by cell: String) -> Bool { cell.split(separator: " ").contains { $0 == word } }
}
