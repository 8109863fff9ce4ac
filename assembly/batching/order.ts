import { mix, NONE } from './memory';
import { Slot, slotAt } from './slot';

/**
 * Waiting requests in the order of their keys: a treap threaded with a doubly linked list.
 *
 * ```
 *   root ──► treap by key (heap order: a hash of the slot number), finds the place of a new key in O(log n)
 *   head ──► s1 ⇄ s2 ⇄ s3 ⇄ ... ⇄ sn ◄── tail       walks in key order, O(1) a step
 * ```
 *
 * Invariant: walking from `head` along `next` visits exactly the treap's nodes, in ascending key, equal keys in order
 * of insertion.
 *
 * Why this shape: most requests carry the same objective, so a new key is nearly always the largest and is appended in
 * O(1); a mix of deadlines costs one descent; a batch is read off the list without touching the tree; and an empty
 * order costs 24 bytes, so that every pair of lane and tenant can have its own.
 */
@unmanaged
export class Order {
  root: u32;
  head: u32;
  tail: u32;
  count: u32;
  items: u32;
  unused: u32;
}

export function orderReset(order: Order): void {
  order.root = NONE;
  order.head = NONE;
  order.tail = NONE;
  order.count = 0;
  order.items = 0;
}

/** Adds a slot by its `key`; behind those with an equal key. */
export function orderInsert(slots: usize, order: Order, index: u32): void {
  const node = slotAt(slots, index);
  const key = node.key;
  node.left = NONE;
  node.right = NONE;
  order.count++;
  order.items += node.items;

  if (order.root == NONE) {
    node.parent = NONE;
    node.prev = NONE;
    node.next = NONE;
    order.root = index;
    order.head = index;
    order.tail = index;
    return;
  }

  const tail = slotAt(slots, order.tail);
  if (key >= tail.key) {
    node.prev = order.tail;
    node.next = NONE;
    node.parent = order.tail;
    tail.next = index;
    tail.right = index;
    order.tail = index;
  } else {
    let at = order.root;
    let before = NONE;
    let after = NONE;
    let parent: u32;
    do {
      const here = slotAt(slots, at);
      parent = at;
      if (key < here.key) {
        after = at;
        at = here.left;
      } else {
        before = at;
        at = here.right;
      }
    } while (at != NONE);
    node.parent = parent;
    if (parent == after) slotAt(slots, parent).left = index;
    else slotAt(slots, parent).right = index;
    node.prev = before;
    node.next = after;
    if (before == NONE) order.head = index;
    else slotAt(slots, before).next = index;
    slotAt(slots, after).prev = index;
  }
  siftUp(slots, order, index);
}

/** Takes a slot out. It must be in this order. */
export function orderRemove(slots: usize, order: Order, index: u32): void {
  const node = slotAt(slots, index);
  order.count--;
  order.items -= node.items;
  if (node.prev == NONE) order.head = node.next;
  else slotAt(slots, node.prev).next = node.next;
  if (node.next == NONE) order.tail = node.prev;
  else slotAt(slots, node.next).prev = node.prev;

  const joined = join(slots, node.left, node.right);
  const parent = node.parent;
  if (joined != NONE) slotAt(slots, joined).parent = parent;
  if (parent == NONE) order.root = joined;
  else {
    const above = slotAt(slots, parent);
    if (above.left == index) above.left = joined;
    else above.right = joined;
  }
}

/** Rotates a new leaf up until its parent's hash is at least its own. */
function siftUp(slots: usize, order: Order, index: u32): void {
  const rank = mix(index);
  const node = slotAt(slots, index);
  let parent = node.parent;
  while (parent != NONE && mix(parent) < rank) {
    const above = slotAt(slots, parent);
    const grand = above.parent;
    if (above.left == index) {
      above.left = node.right;
      if (node.right != NONE) slotAt(slots, node.right).parent = parent;
      node.right = parent;
    } else {
      above.right = node.left;
      if (node.left != NONE) slotAt(slots, node.left).parent = parent;
      node.left = parent;
    }
    above.parent = index;
    node.parent = grand;
    if (grand == NONE) {
      order.root = index;
      return;
    }
    const top = slotAt(slots, grand);
    if (top.left == parent) top.left = index;
    else top.right = index;
    parent = grand;
  }
}

/** Joins two treaps, all keys of `left` before those of `right`; returns the root, whose parent the caller sets. */
function join(slots: usize, left: u32, right: u32): u32 {
  if (left == NONE) return right;
  if (right == NONE) return left;
  let root = NONE;
  let hook = NONE;
  let hookRight = false;
  while (left != NONE && right != NONE) {
    const takeLeft = mix(left) >= mix(right);
    const taken = takeLeft ? left : right;
    if (root == NONE) root = taken;
    else hang(slots, hook, hookRight, taken);
    hook = taken;
    hookRight = takeLeft;
    if (takeLeft) left = slotAt(slots, left).right;
    else right = slotAt(slots, right).left;
  }
  hang(slots, hook, hookRight, left != NONE ? left : right);
  return root;
}

// @ts-ignore: decorator
@inline
function hang(slots: usize, parent: u32, right: bool, child: u32): void {
  if (right) slotAt(slots, parent).right = child;
  else slotAt(slots, parent).left = child;
  if (child != NONE) slotAt(slots, child).parent = parent;
}
