//! Records of containers, as far as images care: which image is in use, and by whom.

use shiplap_model::ImageId;

use crate::database::{Cells, Durability, Tx};
use crate::error::StoreError;
use crate::record::{ContainerRecord, ContainerState};
use crate::store::Store;

const COLUMNS: &str = "SELECT id, name, image, state, created_us FROM containers";

/// Why a container can't be recorded.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The store's own failures, [`StoreError::ImageMissing`] among them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another container has the name.
    #[error("name container {name}: container {id} has this name already")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
}

impl Store {
    /// Records a container, or its new state and name.
    ///
    /// # Errors
    /// [`ContainerError::NameTaken`], [`StoreError::ImageMissing`].
    pub fn put_container(&self, container: &ContainerRecord) -> Result<(), ContainerError> {
        let image = container.image.digest().as_str();
        self.write("record container", Durability::Durable, |tx| {
            if tx.number("SELECT count(*) FROM images WHERE id = ?1", [image])? == 0 {
                return Err(StoreError::ImageMissing { id: container.image.clone() }.into());
            }
            let other = tx.row(
                "SELECT id FROM containers WHERE name = ?1 AND id <> ?2",
                (&container.name, &container.id),
                |cells| cells.text(0),
            )?;
            if let Some(id) = other {
                return Err(ContainerError::NameTaken { name: container.name.clone(), id });
            }
            tx.execute(
                "INSERT INTO containers (id, name, image, state, created_us) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state",
                (
                    &container.id,
                    &container.name,
                    image,
                    container.state.as_str(),
                    container.created.as_microsecond(),
                ),
            )?;
            Ok(())
        })
    }

    /// Forgets a container; whether there was one.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn remove_container(&self, id: &str) -> Result<bool, StoreError> {
        self.write("remove container", Durability::Durable, |tx| {
            Ok(tx.execute("DELETE FROM containers WHERE id = ?1", [id])? > 0)
        })
    }

    /// All containers, the newest first.
    ///
    /// # Errors
    /// Failures of the database.
    pub fn containers(&self) -> Result<Vec<ContainerRecord>, StoreError> {
        self.read("list containers", |tx| {
            tx.rows(
                &format!("{COLUMNS} ORDER BY created_us DESC, id"),
                [],
                container_of_cells,
            )
        })
    }
}

/// The containers that use an image, live ones first.
pub(crate) fn containers_of(
    tx: &Tx<'_>,
    image: &ImageId,
) -> Result<Vec<ContainerRecord>, StoreError> {
    let mut containers = tx.rows(
        &format!("{COLUMNS} WHERE image = ?1 ORDER BY id"),
        [image.digest().as_str()],
        container_of_cells,
    )?;
    containers.sort_by_key(|container| !container.state.is_live());
    Ok(containers)
}

fn container_of_cells(cells: &Cells<'_, '_>) -> Result<ContainerRecord, StoreError> {
    let state = cells.text(3)?;
    Ok(ContainerRecord {
        id: cells.text(0)?,
        name: cells.text(1)?,
        image: cells.parsed(2, "containers.image")?,
        state: ContainerState::from_record(&state).ok_or(StoreError::Record {
            record: "containers.state",
            value: state,
        })?,
        created: cells.time(4)?.unwrap_or_default(),
    })
}
