// Builds Programs/programs.c with the compilers that are there, for the tests' own system and as a guest without one.

import Foundation

/// A compiler with its options.
struct CompiledVariant: CustomStringConvertible, Sendable {
    var compiler: String
    var options: [String]
    var description: String { ([compiler] + options).joined(separator: " ") }

    /// Every compiler that is installed, with every set of options.
    static let all: [Self] = {
        #if arch(x86_64) && os(Linux)
            let found = ["gcc", "clang"].filter { run("/usr/bin/env", [$0, "--version"])?.status == 0 }
        #else
            let found: [String] = []
        #endif
        let options = [
            ["-O0"], ["-O2"], ["-O3"], ["-O3", "-march=x86-64-v2"],
            ["-O2", "-march=x86-64-v2", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe"],
        ]
        return found.flatMap { compiler in options.map { Self(compiler: compiler, options: $0) } }
    }()

    private static let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Programs/programs.c").path
    private static let common = ["-std=gnu11", "-ffp-contract=off", "-fno-strict-aliasing"]
    private static let freestanding = [
        "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-static", "-nostdlib", "-Wl,--build-id=none",
    ]

    /// The lines that the program prints on this system: a name and a number.
    func nativeResults() throws -> [(name: String, result: UInt64)] {
        let binary = try build(["-DHOSTED"])
        defer { try? FileManager.default.removeItem(atPath: binary) }
        guard let done = Self.run(binary, []), done.status == 0 else { throw Failure.doesNotRun }
        return String(decoding: done.output, as: UTF8.self).split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            guard parts.count == 2, let result = UInt64(parts[1], radix: 16) else { return nil }
            return (String(parts[0]), result)
        }
    }

    /// The segments and the entry of the guest's binary.
    func guestImage() throws -> ProgramImage {
        let binary = try build(Self.freestanding)
        defer { try? FileManager.default.removeItem(atPath: binary) }
        return try ProgramImage([UInt8](Data(contentsOf: URL(fileURLWithPath: binary))))
    }

    enum Failure: Error { case doesNotCompile(String), doesNotRun, noImage }

    private func build(_ further: [String]) throws -> String {
        let binary = NSTemporaryDirectory() + "/programs-\(UUID().uuidString)"
        let done = Self.run(
            "/usr/bin/env", [compiler] + options + Self.common + further + [Self.source, "-o", binary])
        guard let done, done.status == 0 else {
            throw Failure.doesNotCompile(done.map { String(decoding: $0.errors, as: UTF8.self) } ?? "")
        }
        return binary
    }

    private static func run(
        _ path: String, _ arguments: [String]
    ) -> (status: Int32, output: Data, errors: Data)? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        guard (try? process.run()) != nil else { return nil }
        let (out, err) = (
            output.fileHandleForReading.readDataToEndOfFile(), errors.fileHandleForReading.readDataToEndOfFile()
        )
        process.waitUntilExit()
        return (process.terminationStatus, out, err)
    }
}

/// A static ELF binary: what is loaded where.
struct ProgramImage {
    var entry: UInt64
    var segments: [(address: UInt64, bytes: [UInt8])] = []
    /// The sections with code.
    var code: [(address: UInt64, bytes: [UInt8])] = []

    init(_ file: [UInt8]) throws {
        func value(_ at: Int, _ count: Int) throws -> UInt64 {
            guard at >= 0, at + count <= file.count else { throw CompiledVariant.Failure.noImage }
            return (0..<count).reduce(0) { $0 | UInt64(file[at + $1]) << UInt64(8 * $1) }
        }
        guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { throw CompiledVariant.Failure.noImage }
        entry = try value(24, 8)
        let (table, size, count) = (Int(try value(32, 8)), Int(try value(54, 2)), Int(try value(56, 2)))
        for number in 0..<count {
            let header = table + number * size
            guard try value(header, 4) == 1 else { continue }
            let (offset, address) = (Int(try value(header + 8, 8)), try value(header + 16, 8))
            let (held, total) = (Int(try value(header + 32, 8)), Int(try value(header + 40, 8)))
            guard offset + held <= file.count, held <= total else { throw CompiledVariant.Failure.noImage }
            segments.append(
                (address, Array(file[offset..<offset + held]) + [UInt8](repeating: 0, count: total - held)))
        }
        let (sections, step) = (Int(try value(40, 8)), Int(try value(58, 2)))
        for header in stride(from: sections, to: sections + step * Int(try value(60, 2)), by: step) {
            guard try value(header + 8, 8) & 4 != 0 else { continue }
            let (offset, count) = (Int(try value(header + 24, 8)), Int(try value(header + 32, 8)))
            guard offset + count <= file.count else { throw CompiledVariant.Failure.noImage }
            code.append((try value(header + 16, 8), Array(file[offset..<offset + count])))
        }
    }
}
