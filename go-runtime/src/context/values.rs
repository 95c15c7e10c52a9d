//! The values of a context: an immutable linked list. A derived context adds a node at its own head
//! and shares the rest with its parent. A node never changes, so any thread may read it.

use std::any::{Any, TypeId};
use std::iter;
use std::sync::Arc;

pub(super) struct ValueNode {
    key: TypeId,
    value: Box<dyn Any + Send + Sync>,
    next: Option<Arc<ValueNode>>,
}

impl ValueNode {
    pub(super) fn new<T: Send + Sync + 'static>(
        value: T,
        next: Option<Arc<ValueNode>>,
    ) -> Arc<ValueNode> {
        Arc::new(ValueNode {
            key: TypeId::of::<T>(),
            value: Box::new(value),
            next,
        })
    }

    /// Iterates over this node's value and those of its ancestors, the latest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &ValueNode> {
        iter::successors(Some(self), |node| node.next.as_deref())
    }

    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        let key = TypeId::of::<T>();
        self.iter()
            .find(|node| node.key == key)
            .and_then(|node| node.value.downcast_ref())
    }
}

impl Drop for ValueNode {
    fn drop(&mut self) {
        // A loop and no recursion: the list may be longer than the stack is deep. (`into_inner`
        // gives the node to exactly one of the threads that drop their references at the same
        // time.) If a value's `Drop` panics, unwinding drops the rest in the same way.
        let mut next = self.next.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.next.take();
        }
    }
}
