//! The store: opens a place, starts the writer, and answers what the rest of the house asks.

use crate::Error;
use crate::KeyUsage;
use crate::content::Content;
use crate::database::{Database, Result as Told};
use crate::generations::Generation;
use crate::generations::Page;
use crate::journal::{Journal, replay};
use crate::keyring::Keyring;
use crate::keys::{Before, DEFAULT_WORKSPACE, Key, NewKey, SecretKey};
use crate::ledger::{CAPACITY, Hot, Ledger};
use crate::place::{Dir, Place, random_pepper};
use crate::scopes::{ScopeId, Standing};
use crate::sqlite::Sqlite;
use crate::things::{Kind, Thing};
use crate::usage::{Between, Used};
use crate::writer::{Letter, Sight, Writer};
use slip_ir::Nano;
use slip_quota::Caps;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use tokio::sync::{mpsc, oneshot};

/// Called on the writer's thread with every record, soon after it was handed in: work that need not hold up a request.
pub type Observer = Box<dyn FnMut(&Generation) + Send>;

/// Name of the setting that proves the pepper belongs to this database, and what it is the HMAC of.
const PEPPER_PROOF: &str = "pepper-proof";
const PROVEN: &[u8] = b"slipswitch pepper proof";

/// A handle to the store. Cheap to clone. When the last handle and the last [`Ledger`] are gone the writer puts away what it was
/// given and ends; [`Store::close`] waits for that.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    keyring: Keyring,
    /// Absent in memory, where only the writer's connection sees the data.
    reader: Option<Mutex<Box<dyn Database>>>,
    sight: Arc<Sight>,
    writer: Thread,
    ended: Mutex<Option<JoinHandle<()>>>,
    cut_off: usize,
    /// One change of a key at a time, so that memory and disk agree on which came last.
    changing: tokio::sync::Mutex<()>,
}

impl Store {
    pub fn open(place: Place, observer: Option<Observer>) -> Result<Store, Error> {
        let dir = match &place {
            Place::Memory => None,
            Place::Dir(path) => Some(Dir::open(path)?),
        };
        let file = dir.as_ref().map_or(Path::new(""), |dir| &dir.database);
        let mut database: Box<dyn Database> = Box::new(Sqlite::writer(&place, file)?);
        let reader = dir.as_ref().map(|dir| Sqlite::reader(&dir.database)).transpose()?;
        let reader = reader.map(|reader| Mutex::new(Box::new(reader) as Box<dyn Database>));

        let keyring = Keyring::new(&dir.as_ref().map_or_else(random_pepper, |dir| dir.pepper));
        prove_pepper(&mut *database, &keyring, dir.as_ref())?;
        let hot = Arc::new(Hot::default());
        for key in database.keys()? {
            hot.scopes.set(&key);
            keyring.put(Arc::new(key));
        }
        let (journal, recovered) = match &dir {
            None => (None, 0),
            Some(dir) => {
                let recovered = replay(&dir.journal)?;
                let cut_off = recovered.cut_off;
                let sheets: Vec<_> = recovered.records.iter().map(|record| (record, None)).collect();
                database.put_records(&sheets)?;
                recovered.forget()?;
                (Some(Arc::new(Journal::begin(&dir.journal)?)), cut_off)
            }
        };
        for whose in database.totals()? {
            hot.scopes.load(&whose);
        }

        let (to_writer, letters) = mpsc::channel(CAPACITY);
        let sight = Arc::new(Sight::default());
        let writer = Writer { letters, database, observer, sight: sight.clone(), journal: journal.clone(), dir };
        let ended = thread::Builder::new()
            .name("slip-ledger".into())
            .spawn(move || writer.run())
            .map_err(|source| Error::Io { path: "slip-ledger".into(), source })?;
        Ok(Store(Arc::new(Inner {
            ledger: Ledger { to_writer, hot, journal },
            cut_off: recovered,
            keyring,
            reader,
            sight,
            writer: ended.thread().clone(),
            ended: Mutex::new(Some(ended)),
            changing: tokio::sync::Mutex::new(()),
        })))
    }

    pub fn ledger(&self) -> Ledger {
        self.0.ledger.clone()
    }

    pub fn keyring(&self) -> Keyring {
        self.0.keyring.clone()
    }

    /// How many requests were under way when the process before this one ended without putting them away. They were closed.
    pub fn cut_off(&self) -> usize {
        self.0.cut_off
    }

    /// The record of this id, written lately or long ago.
    pub async fn generation(&self, id: &str) -> Result<Option<Arc<Generation>>, Error> {
        if let Some(record) = self.0.ledger.recent(id) {
            return Ok(Some(record));
        }
        let id = id.to_owned();
        Ok(self.read(move |db| db.generation(&id)).await?.map(Arc::new))
    }

    /// What was spent by or within this.
    pub fn usage(&self, id: &ScopeId, now_ms: i64) -> KeyUsage {
        self.0.ledger.hot.scopes.usage(id, now_ms)
    }

    /// What requests under way hold of it.
    pub fn held(&self, id: &ScopeId) -> Nano {
        self.0.ledger.hot.scopes.held(id).own
    }

    /// Where a key stands: the scopes its requests need leave of.
    pub fn standing(&self, key: &Key) -> Arc<Standing> {
        self.0.ledger.hot.scopes.of(&key.hash, &key.workspace, key.detail.member.as_ref())
    }

    /// What all keys together may spend.
    pub fn cap_instance(&self, caps: Caps) {
        self.0.ledger.hot.scopes.cap_instance(caps);
    }

    /// Keep a key. One that exists already is returned as it is: a key fixed by the operator is the same key at every start.
    pub async fn create_key(&self, secret: &SecretKey, new: NewKey, now_ms: i64) -> Result<Arc<Key>, Error> {
        let _changing = self.0.changing.lock().await;
        if let Some(key) = self.0.keyring.find(secret.expose(), now_ms) {
            return Ok(key);
        }
        let key = Arc::new(Key {
            mac: self.0.keyring.mac_of(secret),
            hash: secret.hash().into(),
            label: secret.label(),
            name: new.name,
            kind: new.kind,
            disabled: false,
            limit: new.limit,
            limit_reset: new.limit_reset,
            include_byok_in_limit: new.include_byok_in_limit,
            expires_ms: new.expires_ms,
            created_ms: now_ms,
            updated_ms: None,
            workspace: new.workspace.unwrap_or_else(|| DEFAULT_WORKSPACE.into()),
            detail: new.detail,
        });
        self.put_key(key.clone()).await?;
        Ok(key)
    }

    /// Change a key: an edited clone of one from the keyring. `None` when it has been deleted meanwhile.
    pub async fn update_key(&self, mut edited: Key, now_ms: i64) -> Result<Option<Arc<Key>>, Error> {
        let _changing = self.0.changing.lock().await;
        if self.0.keyring.by_hash(&edited.hash).is_none() {
            return Ok(None);
        }
        edited.updated_ms = Some(now_ms);
        let key = Arc::new(edited);
        self.put_key(key.clone()).await?;
        Ok(Some(key))
    }

    /// Give a key another secret. The one before opens it until `until_ms`. `None` when there is no such key.
    pub async fn rotate_key(
        &self,
        hash: &str,
        secret: &SecretKey,
        until_ms: i64,
        now_ms: i64,
    ) -> Result<Option<Arc<Key>>, Error> {
        let _changing = self.0.changing.lock().await;
        let Some(key) = self.0.keyring.by_hash(hash) else { return Ok(None) };
        let mut rotated = Key::clone(&key);
        rotated.detail.before = (until_ms > now_ms).then_some(Before { mac: key.mac, until_ms });
        rotated.mac = self.0.keyring.mac_of(secret);
        rotated.label = secret.label();
        rotated.updated_ms = Some(now_ms);
        let rotated = Arc::new(rotated);
        self.put_key(rotated.clone()).await?;
        Ok(Some(rotated))
    }

    /// Forget a key, and what was kept of its requests. Says whether there was one. What it spent is kept.
    pub async fn delete_key(&self, hash: &str) -> Result<bool, Error> {
        let _changing = self.0.changing.lock().await;
        // Memory first: a key that is being deleted must open nothing, whatever the disk says.
        self.0.keyring.remove(hash);
        self.0.ledger.hot.scopes.forget(hash);
        let hash = hash.to_owned();
        self.write(move |db| {
            let there = db.delete_key(&hash)?;
            db.forget_content(&hash)?;
            Ok(there)
        })
        .await
    }

    async fn put_key(&self, key: Arc<Key>) -> Result<(), Error> {
        let row = key.clone();
        self.write(move |db| db.put_key(&row)).await?;
        self.0.ledger.hot.scopes.set(&key);
        self.0.keyring.put(key);
        Ok(())
    }

    /// The newest records first, each with its place in the order of arrival.
    pub async fn page(&self, page: Page) -> Result<Vec<(i64, Generation)>, Error> {
        self.read(move |db| db.page(&page)).await
    }

    /// What was used, in the order of time. Records written in the last moments may not be counted yet; see [`Store::flush`].
    pub async fn used(&self, between: Between) -> Result<Vec<Used>, Error> {
        self.read(move |db| db.used(&between)).await
    }

    /// Oldest first.
    pub async fn things(&self, kind: Kind) -> Result<Vec<Thing>, Error> {
        self.read(move |db| db.things(kind)).await
    }

    /// Put in or change.
    pub async fn put_thing(&self, kind: Kind, thing: Thing) -> Result<(), Error> {
        self.write(move |db| db.put_thing(kind, &thing)).await
    }

    /// Says whether there was one.
    pub async fn delete_thing(&self, kind: Kind, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.write(move |db| db.delete_thing(kind, &id)).await
    }

    pub async fn put_content(&self, content: Content) -> Result<(), Error> {
        self.write(move |db| db.put_content(&content)).await
    }

    /// The same of a request of this key, unless the key has been deleted meanwhile.
    pub async fn put_content_of(&self, key_hash: &str, content: Content) -> Result<(), Error> {
        let (keyring, hash) = (self.keyring(), key_hash.to_owned());
        // Asked where deleting takes place: a key is gone from memory before what was kept of it is removed.
        self.write(move |db| if keyring.by_hash(&hash).is_some() { db.put_content(&content) } else { Ok(()) }).await
    }

    /// What was kept of a generation, compressed as it was put.
    pub async fn content(&self, generation: &str, now_ms: i64) -> Result<Option<Vec<u8>>, Error> {
        let generation = generation.to_owned();
        self.read(move |db| db.content(&generation, now_ms)).await
    }

    /// Remove content whose time is up, at most `most` pieces. Says how many went.
    pub async fn purge_content(&self, now_ms: i64, most: i64) -> Result<usize, Error> {
        self.write(move |db| db.purge_content(now_ms, most)).await
    }

    pub async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let name = name.to_owned();
        self.read(move |db| db.setting(&name)).await
    }

    pub async fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |db| db.put_setting(&name, &value)).await
    }

    /// Why the last write failed, while writes fail.
    pub fn trouble(&self) -> Option<String> {
        self.0.sight.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When this returns, everything handed in before it is on disk, and the observer has seen it.
    pub async fn flush(&self) -> Result<(), Error> {
        self.write(|_| Ok(())).await
    }

    /// Put away everything handed in and end. Later records, and slots still held, are lost: drain first.
    pub async fn close(self) -> Result<(), Error> {
        let Some(ended) = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(Error::Closed);
        };
        self.0.sight.closing.store(true, Ordering::Release);
        self.post(Letter::Close).await?;
        let ended = tokio::task::spawn_blocking(move || ended.join()).await;
        match ended {
            Ok(Ok(())) => self.trouble().map_or(Ok(()), |why| Err(Error::Database(why))),
            _ => Err(Error::Closed),
        }
    }

    /// Run on the reading connection, or in memory's stead on the writer's.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        if self.0.reader.is_none() {
            return self.write(work).await;
        }
        let inner = self.0.clone();
        let read = move || {
            let reader = inner.reader.as_ref().ok_or(Error::Closed)?;
            Ok(work(&mut **reader.lock().unwrap_or_else(PoisonError::into_inner))?)
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Error::Closed)?
    }

    /// Run on the writer's thread, after every record handed in so far.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Told<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.post(Letter::Job(Box::new(move |db| {
            // Whoever asked may have gone.
            let _ = answer.send(work(db));
        })))
        .await?;
        Ok(answered.await.map_err(|_| Error::Closed)??)
    }

    async fn post(&self, letter: Letter) -> Result<(), Error> {
        self.0.ledger.to_writer.send(letter).await.map_err(|_| Error::Closed)?;
        self.0.writer.unpark();
        Ok(())
    }
}

/// A pepper that is not the one the keys were stored with would turn every key into a wrong one without a word.
fn prove_pepper(database: &mut dyn Database, keyring: &Keyring, dir: Option<&Dir>) -> Result<(), Error> {
    let proof: String = keyring.mac(PROVEN).iter().map(|byte| format!("{byte:02x}")).collect();
    match (database.setting(PEPPER_PROOF)?, dir) {
        (None, _) => Ok(database.put_setting(PEPPER_PROOF, &proof)?),
        (Some(found), Some(dir)) if found != proof => Err(Error::Pepper {
            path: dir.pepper_path.clone(),
            why: "the pepper is not the one the stored keys were made with; restore it from a backup",
        }),
        _ => Ok(()),
    }
}
