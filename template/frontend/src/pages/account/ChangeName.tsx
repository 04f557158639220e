import { useNavigate } from 'react-router'
import { useAccount, useChangeName } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Problems } from '../../components/Problems'
import { useTexts } from '../../texts'
import { Cancel } from './Cancel'

export function ChangeName() {
  const { data: user, error } = useAccount()
  const change = useChangeName()
  const navigate = useNavigate()
  const t = useTexts()

  function handleChange(name: string) {
    const state = { done: t.nameChanged }
    change.mutate({ name }, { onSuccess: () => void navigate('/account', { state }) })
  }

  return (
    <Page title={t.changeName}>
      {user && (
        <Form
          action={t.save}
          isPending={change.isPending}
          error={change.error}
          onSubmit={({ name }) => handleChange(name)}
        >
          <Field
            label={t.name}
            name="name"
            autoComplete="name"
            defaultValue={user.name}
            minLength={2}
            maxLength={100}
            required
          />
        </Form>
      )}
      {error && <Problems error={error} />}
      <Cancel />
    </Page>
  )
}
