// In what two launches differ, page by page: why a launch digest is not the expected one.

public import SNPArchitecture

/// One difference between two launches: a run of pages that differ in the same way.
public struct LaunchDifference: Hashable, Sendable, CustomStringConvertible {
    /// How pages differ.
    public enum Kind: Hashable, Sendable, CustomStringConvertible {
        /// Only the first launch has them.
        case onlyFirst
        /// Only the second launch has them.
        case onlySecond
        /// The first launch has one type, the second another.
        case type(PageType, PageType)
        /// The permissions of other VMPLs are not the same.
        case permissions
        /// What is in them is not the same.
        case contents
        /// Both launches have the same pages, but not in the same order: from this one on.
        case order

        /// The difference in a few words.
        public var description: String {
            switch self {
            case .onlyFirst: "only in the first launch"
            case .onlySecond: "only in the second launch"
            case .type(let first, let second): "type \(first) in the first launch, \(second) in the second"
            case .permissions: "other permissions"
            case .contents: "other contents"
            case .order: "from here on in another order"
            }
        }
    }

    /// The first page of the run.
    public var gpa: GPA
    /// How many pages.
    public var pageCount: Int
    /// How they differ.
    public var kind: Kind
    /// Where the first page's content comes from, in the first launch that has it.
    public var origin: String

    /// One line for people.
    public var description: String {
        let pages = pageCount == 1 ? "" : " and \(pageCount - 1) after it"
        return "\(gpa)\(pages): \(kind) (\(origin))"
    }
}

/// In what two launches differ. Pages are the same page if they have the same address; VMSAs, which all have one address, if they
/// are of the same virtual CPU.
///
/// - Returns: differences in the order of the first launch, then what only the second has, and the order if that is all
public func compareLaunches(_ first: [ExplainedPage], _ second: [ExplainedPage]) -> [LaunchDifference] {
    let keyedSecond = keyed(second)
    let others = Dictionary(keyedSecond, uniquingKeysWith: { page, _ in page })
    var differences: [LaunchDifference] = []
    var met: Set<PageKey> = []
    for (key, page) in keyed(first) {
        met.insert(key)
        guard let other = others[key] else {
            differences.extend(.onlyFirst, page)
            continue
        }
        if page.type != other.type {
            differences.extend(.type(page.type, other.type), page)
        } else if page.contents != other.contents {
            differences.extend(.contents, page)
        } else if page.permissions != other.permissions {
            differences.extend(.permissions, page)
        }
    }
    for (key, page) in keyedSecond where !met.contains(key) { differences.extend(.onlySecond, page) }
    if differences.isEmpty, let page = zip(first, second).first(where: { $0.gpa != $1.gpa })?.0 {
        differences.extend(.order, page)
    }
    return differences
}

/// What makes a page of one launch the same as a page of another.
private struct PageKey: Hashable {
    var gpa: GPA
    /// Counts pages of one address: VMSAs.
    var ordinal: Int
}

private func keyed(_ pages: [ExplainedPage]) -> [(PageKey, ExplainedPage)] {
    var counts: [GPA: Int] = [:]
    return pages.map { page in
        defer { counts[page.gpa, default: 0] += 1 }
        return (PageKey(gpa: page.gpa, ordinal: counts[page.gpa, default: 0]), page)
    }
}

extension [LaunchDifference] {
    /// Adds a page to the last run if it continues that, else as a run of its own.
    fileprivate mutating func extend(_ kind: LaunchDifference.Kind, _ page: ExplainedPage) {
        if let last, last.kind == kind, last.gpa + UInt64(last.pageCount) << 12 == page.gpa {
            self[count - 1].pageCount += 1
        } else {
            append(LaunchDifference(gpa: page.gpa, pageCount: 1, kind: kind, origin: page.origin))
        }
    }
}
