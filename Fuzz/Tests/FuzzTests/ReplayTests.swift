// Every seed and every input that once found something, played again: nothing may be wrong.

import Fuzzing
import Glibc
import Testing

@Suite("Replay")
struct ReplayTests {
    /// The package's folder.
    private static let folder = String(#filePath.dropLast("Tests/FuzzTests/ReplayTests.swift".count))

    private static func files(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var files: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { files.append(folder + "/" + name) }
        }
        return files.sorted()
    }

    private static func contents(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return bytes
    }

    @Test("Seeds and crashers of a target", arguments: targetNames)
    func replay(name: String) throws {
        let target = try makeTarget(name)
        let seeds = Self.files(Self.folder + "Seeds/" + name)
        #expect(!seeds.isEmpty, "the target has seeds")
        for path in seeds + Self.files(Self.folder + "Crashers/" + name) {
            let bytes = Self.contents(path)
            let input = path.hasSuffix(".txt") ? try target.bytes(String(decoding: bytes, as: UTF8.self)) : bytes
            #expect(input.withUnsafeBytes { target.run($0, trace: nil) } == nil, "\(path)")
        }
    }

    @Test("A scenario's text and bytes say the same, and a bad text is refused", arguments: targetNames)
    func texts(name: String) throws {
        let target = try makeTarget(name)
        for path in Self.files(Self.folder + "Seeds/" + name) where path.hasSuffix(".txt") {
            let input = try target.bytes(String(decoding: Self.contents(path), as: UTF8.self))
            let text = try #require(input.withUnsafeBytes { target.text($0) })
            #expect(try target.bytes(text) == input, "\(path)")
        }
        #expect(throws: (any Error).self) { try target.bytes("no-such-operation") }
        #expect(throws: (any Error).self) { try target.bytes("convert nothing=1") }
    }
}
