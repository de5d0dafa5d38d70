/**
 * Everything that `import … from 'offheap/map'` gives. Begin with {@link HeapMap}.
 *
 * @module offheap/map
 */
export * from '../../lib/map/index.js'
