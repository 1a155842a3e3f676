// What a launch digest is made of, as text that can be kept, read by people, and compared with another launch.
//
// A line for each page: its address, type, the permissions of VMPL3 to VMPL1 in hexadecimal, the SHA-384 of its content, and where
// that comes from. Lines that begin with # are for people. No line depends on those before it, so any tool that compares lines
// can compare two launches.

import Rampart
import SNPArchitecture

extension LaunchExplanation {
    /// The explanation as text.
    var text: String {
        var lines = ["# gpa type permissions sha384 origin"]
        if start.contains(where: { $0 != 0 }) { lines.append("# starts at \(hexadecimal(start))") }
        lines += pages.map { page in
            let permissions = String(page.permissions.rawValue >> 8, radix: 16)
            return "\(page.gpa) \(page.type) \(permissions) \(hexadecimal(page.contents)) \(page.origin)"
        }
        return (lines + ["# \(pages.count) pages, digest \(hexadecimal(digest))"]).joined(separator: "\n") + "\n"
    }

    /// The explanation as members of a JSON object.
    var json: JSON {
        .array(
            pages.map { page in
                .object([
                    ("gpa", .string("\(page.gpa)")), ("type", .string("\(page.type)")),
                    ("permissions", .unsigned(UInt64(page.permissions.rawValue >> 8))),
                    ("sha384", .string(hexadecimal(page.contents))), ("origin", .string(page.origin)),
                ])
            })
    }
}

/// Reads the pages of an explanation's text.
///
/// - Throws: `InputError` with the number of the first line that is no page
func explainedPages(reading text: String, from path: String) throws(InputError) -> [ExplainedPage] {
    var pages: [ExplainedPage] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
        guard !line.isEmpty, !line.hasPrefix("#") else { continue }
        guard let page = ExplainedPage(line) else {
            throw InputError(
                "\(path): line \(index + 1) is not a page of a launch. Make the file with rampart measure --explain.")
        }
        pages.append(page)
    }
    return pages
}

extension ExplainedPage {
    /// Reads a line of an explanation; nil if it is none, or has an address that no page can have.
    fileprivate init?(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 4)
        guard words.count == 5, words[0].hasPrefix("0x"), let address = UInt64(words[0].dropFirst(2), radix: 16),
            address & 0xfff == 0, address < 1 << 52,
            let type = PageType.allCases.first(where: { $0.description == words[1] }),
            let permissions = UInt32(words[2], radix: 16), permissions <= 0xff_ffff,
            let contents = bytes(hexadecimal: String(words[3])), contents.count == 48
        else { return nil }
        self.init(
            gpa: GPA(address), type: type, permissions: VMPLPermissionSet(rawValue: permissions << 8),
            contents: contents, origin: String(words[4]))
    }
}

extension LaunchDifference {
    /// The difference as a JSON object.
    var json: JSON {
        .object([
            ("gpa", .string("\(gpa)")), ("pages", .integer(pageCount)), ("difference", .string("\(kind)")),
            ("origin", .string(origin)),
        ])
    }
}
