import Testing

@testable import RampartCLI

@Suite("rampart")
struct RampartCommandTests {
    @Test("help and version are good and go to standard output")
    func help() {
        for arguments in [[], ["--help"], ["help"], ["help", "doctor"], ["doctor", "--help"], ["--version"]] {
            let outcome = RampartCommand.execute(arguments)
            #expect(outcome.status == .good, "\(arguments)")
            #expect(outcome.output.hasSuffix("\n") && outcome.diagnostics.isEmpty, "\(arguments)")
        }
        #expect(RampartCommand.execute(["--version"]).output == "0.1.0\n")
    }

    @Test("wrong usage is status 2 and goes to standard error", arguments: ["nonsense", "--nonsense"])
    func usage(argument: String) {
        let outcome = RampartCommand.execute([argument])
        #expect(outcome.status == .usage)
        #expect(outcome.output.isEmpty)
        #expect(outcome.diagnostics.contains(argument))
    }

    @Test("doctor finds this computer good and says what is not modelled")
    func doctor() {
        let text = RampartCommand.execute(["doctor"])
        #expect(text.status == .good)
        #expect(text.output.contains("SHA-384                 ok"))
        #expect(text.output.contains("not modelled:\n  - "))
        let json = RampartCommand.execute(["doctor", "--json"])
        #expect(json.output.hasPrefix("{\n  \"version\": \"0.1.0\",\n  \"good\": true,"))
    }
}

@Suite("JSON and binary text")
struct OutputTextTests {
    @Test("strings are escaped and members keep their order")
    func json() {
        let value = JSON.object([
            ("b", .string("a\"\\\n\t\r\u{1}é")), ("a", .array([.null, .boolean(true), .integer(-1), .unsigned(.max)])),
            ("e", .object([])), ("f", .array([])),
        ])
        #expect(
            value.text
                == #"{"b":"a\"\\\n\t\r\u0001é","a":[null,true,-1,18446744073709551615],"e":{},"f":[]}"#)
        #expect(JSON.object([("a", .array([.integer(1)]))]).indented() == "{\n  \"a\": [\n    1\n  ]\n}")
    }

    @Test(
        "base64 of RFC 4648's examples",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy"),
        ])
    func base64Text(text: String, encoded: String) {
        #expect(base64(Array(text.utf8)) == encoded)
        #expect(bytes(base64: encoded) == Array(text.utf8))
    }

    @Test("base64 is read with white space, and only whole")
    func base64Reading() {
        let all = (0...255).map { UInt8($0) }
        #expect(bytes(base64: base64(all)) == all)
        #expect(bytes(base64: " Zm9v\r\nYmFy\n") == Array("foobar".utf8))
        for text in ["Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9-", "Zm9\u{e9}", "=m9v"] {
            #expect(bytes(base64: text) == nil, "\(text)")
        }
    }

    @Test("hexadecimal text is read only whole")
    func hexadecimalText() {
        #expect(bytes(hexadecimal: "00fFa5") == [0, 0xff, 0xa5])
        for text in ["0", "0g", "é", " 0", "0x00"] { #expect(bytes(hexadecimal: text) == nil) }
        #expect(hexadecimal([0, 0xff, 0xa5]) == "00ffa5")
    }

    @Test("integers may have a prefix and underscores but no sign")
    func integers() {
        let good: [(String, UInt64)] = [
            ("0", 0), ("10", 10), ("0x1F", 31), ("0b101", 5), ("0o17", 15), ("1_000", 1000),
        ]
        for (text, value) in good { #expect(unsignedInteger(text) == value) }
        for text in ["", "0x", "-1", "+1", "0x+1", "ff", "18446744073709551616", "1e3"] {
            #expect(unsignedInteger(text) == nil, "\(text)")
        }
    }
}
