/**
 * Writes a zip archive, with the basic features of
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
 */

import { crc32, deflateRawSync } from 'node:zlib'

export interface ZipEntry {
  /** A relative path, with slashes. */
  readonly name: string
  readonly bytes: Uint8Array
  readonly executable: boolean
}

const LOCAL = 0x04034b50
const CENTRAL = 0x02014b50
const END = 0x06054b50
const VERSION = 20
/** Created on Unix, so that permissions apply. */
const UNIX = 3 << 8
const DEFLATED = 8
/** 1 January 2020, so that archives are reproducible. */
const DATE = (40 << 9) | (1 << 5) | 1

export function zip(entries: readonly ZipEntry[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, bytes, executable } of entries) {
    const path = Buffer.from(name)
    const packed = deflateRawSync(bytes)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(VERSION, 0)
    common.writeUInt16LE(DEFLATED, 4)
    common.writeUInt16LE(DATE, 8)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(path.length, 22)
    const local = Buffer.concat([signature(LOCAL), common, path, packed])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(((executable ? 0o100755 : 0o100644) << 16) >>> 0, 6)
    tail.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([signature(CENTRAL), versionMadeBy(), common, tail, path]))
    parts.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...parts, central, signature(END), end])
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function versionMadeBy(): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(UNIX | VERSION)
  return bytes
}
