/**
 * Inspects a binary: its processor, the libraries that it needs, its exports, and the oldest system
 * that it supports. Reads ELF, Mach-O and PE, so that binaries for all platforms can be verified on
 * any of them.
 */

/** The zero-terminated string at an offset. */
function textAt(bytes, offset) {
  return bytes.toString('latin1', offset, bytes.indexOf(0, offset))
}

/** Decodes a version in Mach-O: 0x000b0000 is 11.0. */
const version = word => `${word >>> 16}.${(word >>> 8) & 0xff}`

const ELF_MACHINES = { 62: 'x64', 183: 'arm64' }
const MACHO_MACHINES = { 16777223: 'x64', 16777228: 'arm64' }
const PE_MACHINES = { 34404: 'x64', 43620: 'arm64' }

/** The newest of versions such as GLIBC_2.28, as a number; undefined if there is none. */
function newest(versions) {
  const numbers = versions.flatMap(text => /^GLIBC_([\d.]+)$/.exec(text)?.[1] ?? [])
  return numbers.sort((one, other) => one.localeCompare(other, 'en', { numeric: true })).at(-1)
}

function inspectElf(bytes) {
  const word = at => Number(bytes.readBigUInt64LE(at))
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = word(40) + index * bytes.readUInt16LE(58)
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: word(at + 24),
      size: word(at + 32),
      link: bytes.readUInt32LE(at + 40)
    }
  })
  const ofType = type => sections.filter(section => section.type === type)
  const stringsOf = section => offset => textAt(bytes, sections[section.link].offset + offset)
  const entries = (section, size) =>
    Array.from({ length: section.size / size }, (_, index) => section.offset + index * size)
  const needs = ofType(6).flatMap(dynamic =>
    entries(dynamic, 16).flatMap(at => (word(at) === 1 ? [stringsOf(dynamic)(word(at + 8))] : []))
  )
  // Exported symbols: defined in a section, with a binding that is not local.
  const exported = ofType(11).flatMap(symbols =>
    entries(symbols, 24).flatMap(at =>
      bytes.readUInt16LE(at + 6) !== 0 && bytes[at + 4] >> 4 !== 0
        ? [stringsOf(symbols)(bytes.readUInt32LE(at))]
        : []
    )
  )
  const versions = ofType(0x6ffffffe).flatMap(section => {
    const names = []
    for (let at = section.offset, more = true; more; ) {
      for (let aux = at + bytes.readUInt32LE(at + 8), next = true; next; ) {
        names.push(stringsOf(section)(bytes.readUInt32LE(aux + 8)))
        next = bytes.readUInt32LE(aux + 12) !== 0
        aux += bytes.readUInt32LE(aux + 12)
      }
      more = bytes.readUInt32LE(at + 12) !== 0
      at += bytes.readUInt32LE(at + 12)
    }
    return names
  })
  return {
    format: 'elf',
    arch: ELF_MACHINES[bytes.readUInt16LE(18)],
    needs,
    exported,
    minimum: newest(versions)
  }
}

function inspectMacho(bytes) {
  const needs = []
  const exported = []
  let minimum
  let signed = false
  let symbols
  for (
    let count = bytes.readUInt32LE(16), at = 32;
    count > 0;
    count--, at += bytes.readUInt32LE(at + 4)
  ) {
    const command = bytes.readUInt32LE(at)
    if ([0x0c, 0x80000018, 0x8000001f].includes(command))
      needs.push(textAt(bytes, at + bytes.readUInt32LE(at + 8)))
    if (command === 0x32) minimum = version(bytes.readUInt32LE(at + 12))
    if (command === 0x24) minimum = version(bytes.readUInt32LE(at + 8))
    if (command === 0x1d) signed = true
    if (command === 0x02) symbols = { table: at + 8, strings: bytes.readUInt32LE(at + 16) }
  }
  if (symbols !== undefined) {
    const [table, count] = [
      bytes.readUInt32LE(symbols.table),
      bytes.readUInt32LE(symbols.table + 4)
    ]
    for (let at = table; at < table + count * 16; at += 16) {
      // External symbols that are defined in a section, and neither private nor debug symbols.
      if ((bytes[at + 4] & 0xff) === 0x0f)
        exported.push(textAt(bytes, symbols.strings + bytes.readUInt32LE(at)).slice(1))
    }
  }
  return {
    format: 'macho',
    arch: MACHO_MACHINES[bytes.readUInt32LE(4)],
    needs,
    exported,
    minimum,
    signed
  }
}

function inspectPe(bytes) {
  const header = bytes.readUInt32LE(0x3c)
  const optional = header + 24
  const first = optional + bytes.readUInt16LE(header + 20)
  const sections = Array.from(
    { length: bytes.readUInt16LE(header + 6) },
    (_, index) => first + index * 40
  )
  const offsetOf = address => {
    const at = sections.find(each => {
      const start = bytes.readUInt32LE(each + 12)
      return address >= start && address < start + bytes.readUInt32LE(each + 8)
    })
    return address - bytes.readUInt32LE(at + 12) + bytes.readUInt32LE(at + 20)
  }
  const directory = index => bytes.readUInt32LE(optional + 112 + index * 8)
  const needs = []
  for (let at = offsetOf(directory(1)); bytes.readUInt32LE(at + 12) !== 0; at += 20) {
    needs.push(textAt(bytes, offsetOf(bytes.readUInt32LE(at + 12))))
  }
  const exports = offsetOf(directory(0))
  const names = offsetOf(bytes.readUInt32LE(exports + 32))
  const exported = Array.from({ length: bytes.readUInt32LE(exports + 24) }, (_, index) =>
    textAt(bytes, offsetOf(bytes.readUInt32LE(names + index * 4)))
  )
  const minimum = `${bytes.readUInt16LE(optional + 48)}.${bytes.readUInt16LE(optional + 50)}`
  return {
    format: 'pe',
    arch: PE_MACHINES[bytes.readUInt16LE(header + 4)],
    needs,
    exported,
    minimum
  }
}

/**
 * Inspects the bytes of an addon or a library. Throws if they are not 64-bit ELF, Mach-O or PE.
 */
export function inspectBinary(bytes) {
  if (bytes.readUInt32BE(0) === 0x7f454c46 && bytes[4] === 2) return inspectElf(bytes)
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return inspectMacho(bytes)
  if (bytes.toString('latin1', 0, 2) === 'MZ') return inspectPe(bytes)
  throw new Error('the file is not 64-bit ELF, Mach-O or PE')
}
